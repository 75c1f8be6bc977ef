// The page of `ser explore`: what is chosen, what of it is shown, and what is heard.

import { MapView, fit, look, radius, tone } from "./map.js";
import { Sound } from "./sound.js";

const MOST_ROWS = 100;
const PATIENCE = 400; // ms between two questions whether a map is ready
const NONE_CHOSEN = "None is chosen yet: click a point, or a line of the list.";
const UNCALIBRATED = "Probabilities are the softmax of the head's outputs as trained, not calibrated.";

const find = (id) => document.getElementById(id);
const chosen = (id) => find(id).value;

const settings = new Map(); // number -> its runs, or the promise of them
let study;
let view;
let sound;
let opened = ["", ""]; // the numbers of settings A and B that are shown; the boxes may be ahead
let entries = []; // of setting A: a test utterance of a run, with what B says of it
let cell = null; // of a confusion matrix: {side, label, recognised}
let selected = null; // an entry
let rows = MOST_ROWS;
let round = 0; // counts what was chosen, so that what arrives late is dropped
let turn = 0; // counts what was selected, likewise
let fetching = 0; // counts the times that maps were asked for, likewise

async function ask(place) {
  const response = await fetch(place);
  if (!response.ok) throw new Error(await response.text());
  return { ready: response.status === 200, content: await response.json() };
}

function make(kind, properties = {}, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

function warn(message) {
  find("warnings").append(make("p", { className: "warning", textContent: message }));
}

const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`;

// ---- what is chosen -------------------------------------------------------------------------------------------------

async function begin() {
  study = (await ask("study")).content;
  document.title = `Explore ${study.title}`;
  find("title").textContent = `Explore ${study.title}`;
  find("caption").textContent = study.caption;
  if (study.warning) warn(study.warning);
  if (study.silence) warn(`Recordings cannot be heard: ${study.silence}`);
  const names = study.settings.map(({ number, name, ua }) => [number, `${name} (UA ${ua.toFixed(1)} %)`]);
  offer("first", names, study.chosen[0]);
  offer("second", [["", "none"], ...names], study.chosen[1] ?? "");
  offer("label", [["", "all"], ...study.classes.map((name, number) => [number, name])]);
  const speakers = [...new Set(study.facts.speaker ?? [])].filter(Boolean).sort();
  offer("speaker", [["", speakers.length ? "all" : "unknown"], ...speakers.map((name) => [name, name])]);
  find("speaker").disabled = !speakers.length;
  view = new MapView(find("map"), study.colours);
  sound = new Sound(find("player"), find("spectrogram"), find("cursor"));
  listen();
  await openSettings();
}

function offer(id, options, value) {
  const select = find(id), before = value ?? select.value;
  select.replaceChildren(...options.map(([key, text]) => make("option", { value: key, textContent: text })));
  select.value = before;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
}

function listen() {
  for (const id of ["first", "second"]) find(id).addEventListener("change", () => attempt(openSettings));
  for (const id of ["run", "speaker", "label", "error"]) find(id).addEventListener("change", () => narrow(null));
  find("projection").addEventListener("change", () => { showMaps(); attempt(fetchMaps); });
  find("controls").addEventListener("submit", (event) => event.preventDefault());
  find("controls").addEventListener("reset", (event) => {
    event.preventDefault();
    for (const id of ["run", "speaker", "label", "error"]) find(id).value = "";
    narrow(null);
  });
  find("more").addEventListener("click", () => { rows += MOST_ROWS; showRows(); });
  const map = find("map");
  map.addEventListener("click", (event) => clickMap(event.offsetX, event.offsetY));
  map.addEventListener("pointermove", (event) => hover(view.at(event.offsetX, event.offsetY)));
  map.addEventListener("keydown", pressKey);
  const redraw = () => { view.draw(); sound.draw(); };
  new ResizeObserver(redraw).observe(find("maps"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { showLegend(); redraw(); });
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    warn(`That failed: ${error.message}`);
  }
}

async function runsOf(number) {
  if (number === "") return [];
  if (!settings.has(number)) settings.set(number, ask(`settings/${number}`).then(({ content }) => content.runs));
  try {
    return await settings.get(number);
  } catch (error) {
    settings.delete(number);
    throw error;
  }
}

async function openSettings() {
  const wanted = ["first", "second"].map(chosen), mine = ++round;
  let one, other;
  try {
    [one, other] = await Promise.all(wanted.map(runsOf));
  } catch (error) {
    if (mine !== round) return;
    // At the very beginning nothing is shown
    if (opened[0] !== "") ["first", "second"].forEach((id, place) => (find(id).value = opened[place]));
    throw error;
  }
  if (mine !== round) return;
  opened = wanted;
  entries = join(one, other);
  offer("run", [["", "all"], ...one.map((run) => [run.signature, `${run.name} (UA ${run.ua.toFixed(1)} %)`])]);
  const both = [["first", "A alone is wrong"], ["second", "B alone is wrong"], ["both", "both are wrong"]];
  offer("error", [["", "all"], ["wrong", "wrong"], ["right", "right"], ...(other.length ? both : [])]);
  const before = selected;
  selected = before && counterpart(before);
  showLegend();
  showNames();
  narrow(null);
  if (selected) select(selected, false);
  else deselect();
  await fetchMaps();
}

// The same utterance in what is now shown, if there is a choice by the run on the same division into parts
function counterpart(before) {
  const same = entries.filter((entry) => entry.utterance === before.utterance);
  return same.find((entry) => entry.a.run.division === before.a.run.division) ?? same[0] ?? null;
}

// What each run of A says of its test utterances, and what B says of them: the run on the same division into parts, or
// where there is none, another that did not train on them either
function join(one, other) {
  const places = new Map();
  for (const run of other) {
    run.utterances.forEach((utterance, place) => {
      places.set(`${run.division} ${utterance}`, [run, place]);
      if (!places.has(utterance)) places.set(utterance, [run, place]);
    });
  }
  return one.flatMap((run) => run.utterances.map((utterance, place) => {
    const partner = places.get(`${run.division} ${utterance}`) ?? places.get(utterance);
    const b = partner ? outcome(...partner) : null;
    return { utterance, label: run.labels[place], a: outcome(run, place), b };
  }));
}

function outcome(run, place) {
  const recognised = run.recognised[place], probabilities = run.probabilities[place];
  return { run, place, recognised, probabilities, confidence: probabilities[recognised], loss: run.losses[place] };
}

async function fetchMaps() {
  const mine = ++fetching;
  const runs = (await Promise.all(opened.map(runsOf))).flat();
  const waiting = runs.filter((run) => !run.neighbours && !run.mapless);
  while (waiting.length && mine === fetching && chosen("projection") === "tsne") {
    find("hover").textContent = `t-SNE: ${runs.length - waiting.length} of ${runs.length} maps are ready`;
    let ready, content;
    try {
      ({ ready, content } = await ask(`maps/${waiting[0].signature}`));
    } catch (error) {
      if (error instanceof TypeError) throw error; // no answer at all: nor will there be one to the next question
      const run = waiting.shift();
      run.mapless = true;
      warn(`${run.name} has no t-SNE map: ${error.message}`);
      continue;
    }
    if (ready) {
      waiting.shift().neighbours = content.points;
      showMaps();
    } else {
      await new Promise((resolve) => setTimeout(resolve, PATIENCE));
    }
  }
  if (mine === fetching) find("hover").textContent = "";
}

// ---- what of it is shown --------------------------------------------------------------------------------------------

const isWrong = (entry, side) => entry[side] !== null && entry[side].recognised !== entry.label;

const ERRORS = {
  "": () => true,
  wrong: (entry) => isWrong(entry, "a"),
  right: (entry) => !isWrong(entry, "a"),
  first: (entry) => isWrong(entry, "a") && entry.b !== null && !isWrong(entry, "b"),
  second: (entry) => isWrong(entry, "b") && !isWrong(entry, "a"),
  both: (entry) => isWrong(entry, "a") && isWrong(entry, "b"),
};

function inScope(entry) {
  const [run, speaker] = [chosen("run"), chosen("speaker")];
  return (!run || entry.a.run.signature === run) && (!speaker || study.facts.speaker[entry.utterance] === speaker);
}

function narrow(next) {
  cell = next;
  rows = MOST_ROWS;
  const [label, error] = [chosen("label"), ERRORS[chosen("error")]];
  for (const entry of entries) {
    entry.inScope = inScope(entry);
    entry.shown = entry.inScope && (label === "" || entry.label === Number(label)) && error(entry) && inCell(entry);
  }
  showCount();
  showMaps();
  showMatrices();
  showRows();
}

function inCell(entry) {
  return !cell || (entry.label === cell.label && entry[cell.side]?.recognised === cell.recognised);
}

// In full, which the boxes to choose them have no room for
function showNames() {
  const [first, second] = opened.map((number) => study.settings.find((setting) => String(setting.number) === number)?.name);
  find("names").textContent = second ? `A: ${first}. B: ${second}.` : `A: ${first}.`;
}

function showCount() {
  const shown = entries.filter((entry) => entry.shown).length;
  const place = cell
    ? `, those labelled ${study.classes[cell.label]} in which ${cell.side.toUpperCase()} recognised ${study.classes[cell.recognised]}`
    : "";
  find("count").textContent = `${shown} of ${entries.length} test utterances${place}`;
}

function showMaps() {
  const panels = [];
  const two = opened[1] !== "";
  const byRun = Map.groupBy(entries, (entry) => entry.a.run);
  for (const [run, items] of byRun) {
    if (chosen("run") && run.signature !== chosen("run")) continue;
    panels.push(panel(run, items, "a", two));
    const partner = items.find((entry) => entry.b?.run.division === run.division)?.b.run;
    if (partner) panels.push(panel(partner, items.filter((entry) => entry.b?.run === partner), "b", two));
  }
  const neighbours = chosen("projection") === "tsne";
  view.show(panels, (run) => (neighbours && run.neighbours) || run.points, selected);
}

function panel(run, items, side, two) {
  const shares = `PCA, ${run.shares.map((share) => (100 * share).toFixed(0)).join(" + ")} % of variance`;
  const kinds = chosen("projection") === "tsne" && run.neighbours ? ["t-SNE"] : [shares, "PCA"];
  const name = two ? `${side.toUpperCase()}, ${run.name}` : run.name;
  const titles = [...kinds.map((kind) => `${name}: UA ${run.ua.toFixed(1)} % (${kind})`), `${name}: UA ${run.ua.toFixed(1)} %`, name];
  return { titles, side, run, entries: items.map((entry) => ({ entry, outcome: entry[side], shown: entry.shown })) };
}

function showLegend() {
  const ink = tone("ink");
  const mark = (number, colour, loss, text, wrong) => {
    const canvas = make("canvas");
    const item = make("span", {}, canvas, text);
    find("legend").append(item);
    const context = fit(canvas), path = new Path2D();
    look(number, study.colours, ink).shape(path, 9, 9, radius(loss));
    context.fillStyle = colour;
    context.fill(path);
    context.strokeStyle = ink;
    if (wrong) context.stroke(path);
  };
  find("legend").replaceChildren();
  study.classes.forEach((name, number) => mark(number, look(number, study.colours, ink).colour, 2, name));
  mark(0, tone("paper"), 2, "outlined: wrong", true);
  [0, 1, 6].forEach((loss) => mark(0, tone("faint"), loss, `loss ${loss}`));
}

// ---- confusions -----------------------------------------------------------------------------------------------------

function showMatrices() {
  const sides = opened[1] === "" ? ["a"] : ["a", "b"];
  find("matrices").replaceChildren(...sides.map((side) => matrix(side, sides.length === 2)));
}

function matrix(side, two) {
  const counts = study.classes.map(() => study.classes.map(() => 0));
  const counted = new Set(); // several runs of A may be beside one of B
  for (const entry of entries) {
    if (!entry.inScope || !entry[side]) continue;
    const { run, place, recognised } = entry[side], key = `${run.signature} ${place}`;
    if (!counted.has(key)) counts[entry.label][recognised]++;
    counted.add(key);
  }
  const head = make("tr", {}, make("td"), ...study.classes.map((text) => make("th", { scope: "col", textContent: text })));
  const body = counts.map((line, label) => {
    const sum = line.reduce((one, other) => one + other, 0);
    const heading = make("th", { scope: "row", textContent: `${study.classes[label]} (${sum})` });
    return make("tr", {}, heading, ...line.map((count, recognised) => make("td", {}, door(side, label, recognised, count, sum))));
  });
  const caption = make("caption", { textContent: two ? side.toUpperCase() : "" });
  return make("div", { className: "matrix" }, make("table", {}, caption, head, ...body));
}

function door(side, label, recognised, count, sum) {
  const share = sum ? count / sum : 0;
  const open = cell !== null && cell.side === side && cell.label === label && cell.recognised === recognised;
  const button = make("button", { type: "button", className: share > 0.76 ? "full" : "" });
  button.append(percent(share), make("small", { textContent: count }));
  button.style.background = `rgba(8, 81, 156, ${share})`;
  button.setAttribute("aria-pressed", open);
  const [truth, guess] = [study.classes[label], study.classes[recognised]];
  button.setAttribute("aria-label", `labelled ${truth}, recognised as ${guess}: ${count} of ${sum}`);
  button.dataset.cell = `${side} ${truth} ${guess}`;
  button.addEventListener("click", () => {
    narrow(open ? null : { side, label, recognised });
    document.querySelector(`[data-cell="${CSS.escape(button.dataset.cell)}"]`).focus({ preventScroll: true });
    if (!open) reveal("list");
  });
  return button;
}

/** Where sections stand below each other, what has changed may be out of sight. */
function reveal(id) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  find(id).scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
}

// ---- the list -------------------------------------------------------------------------------------------------------

function showRows() {
  const side = cell?.side ?? "a";
  const ordered = entries.filter((entry) => entry.shown).sort((one, other) => rank(one, side) - rank(other, side));
  find("rows").replaceChildren(...ordered.slice(0, rows).map(row));
  find("more").hidden = ordered.length <= rows;
}

// Errors first, the most confident on top; then the others, the least confident on top
function rank(entry, side) {
  const confidence = entry[side]?.confidence ?? 0;
  return isWrong(entry, side) ? -confidence : 1 + confidence;
}

function row(entry) {
  const { speaker } = study.facts;
  const button = make("button", { type: "button" });
  button.append(
    make("span", { textContent: study.names[entry.utterance] }),
    make("span", { textContent: verdict(entry, "a") }),
    make("span", { className: "aside", textContent: [speaker && `speaker ${speaker[entry.utterance]}`, entry.a.run.name].filter(Boolean).join(", ") }),
    make("span", { className: "aside", textContent: entry.b ? `B: ${verdict(entry, "b")}` : "" }),
  );
  button.setAttribute("aria-current", entry === selected);
  button.entry = entry;
  button.addEventListener("click", () => { select(entry, true); reveal("utterance"); });
  return make("li", {}, button);
}

function verdict(entry, side) {
  const { recognised, confidence } = entry[side];
  const words = isWrong(entry, side) ? [study.classes[entry.label], "→", study.classes[recognised]] : [study.classes[recognised]];
  return `${words.join(" ")} ${percent(confidence)}`;
}

// ---- the map under pointer and keys ---------------------------------------------------------------------------------

function clickMap(x, y) {
  const { panel, item, title } = view.at(x, y);
  if (item) {
    hover({ item });
    select(item.entry, true);
  } else if (title) {
    const signature = panel.entries[0].entry.a.run.signature;
    find("run").value = chosen("run") ? "" : signature;
    narrow(cell);
  }
}

function hover({ item }) {
  if (!item) return;
  const { entry, outcome: { recognised, confidence, loss } } = item;
  const words = [study.names[entry.utterance], `labelled ${study.classes[entry.label]}`];
  words.push(`recognised as ${study.classes[recognised]} (${percent(confidence)})`, `loss ${loss.toFixed(2)}`);
  find("hover").textContent = words.join(", ");
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressKey(event) {
  if (event.key in ARROWS) {
    event.preventDefault();
    const item = selected?.shown ? view.neighbour(...ARROWS[event.key]) : null;
    const entry = selected?.shown ? item?.entry : find("rows").querySelector("button")?.entry;
    if (entry) select(entry, false);
    if (item) {
      hover({ item });
      const box = find("box");
      if (item.y < box.scrollTop || item.y > box.scrollTop + box.clientHeight) box.scrollTop = item.y - box.clientHeight / 2;
    }
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (selected) select(selected, true);
  }
}

// ---- an utterance ---------------------------------------------------------------------------------------------------

async function select(entry, play) {
  const mine = ++turn;
  selected = entry;
  view.selected = entry;
  view.draw();
  for (const button of find("rows").querySelectorAll("button")) button.setAttribute("aria-current", button.entry === entry);
  find("utterance-title").textContent = study.names[entry.utterance];
  find("facts").textContent = facts(entry);
  const sides = entry.b ? ["a", "b"] : ["a"];
  find("probabilities").replaceChildren(...sides.map((side) => bars(entry, side, entry.b !== null)));
  find("detail").hidden = false;
  find("problem").hidden = true;
  find("sound").hidden = false;
  find("heard").textContent = UNCALIBRATED;
  if (study.silence) {
    find("sound").hidden = true;
    return;
  }
  try {
    await sound.load(entry.utterance, play);
    if (mine === turn && sound.seconds > entry.a.run.seconds) {
      const cut = `Of ${sound.seconds.toFixed(1)} s the network was given the middle ${entry.a.run.seconds} s.`;
      find("heard").textContent = `${UNCALIBRATED} ${cut}`;
    }
  } catch (error) {
    if (mine !== turn) return;
    find("sound").hidden = true;
    find("problem").hidden = false;
    find("problem").textContent = `It cannot be heard: ${error.message}`;
  }
}

function deselect() {
  turn++;
  sound.clear();
  find("utterance-title").textContent = "Utterance";
  find("facts").textContent = NONE_CHOSEN;
  find("detail").hidden = true;
}

function facts(entry) {
  const { raw_label: raw, speaker, gender, session, kind, corpus } = study.facts;
  const known = (column, word) => (column?.[entry.utterance] ? [`${word}${column[entry.utterance]}`] : []);
  const name = study.classes[entry.label];
  const own = raw?.[entry.utterance];
  const label = own && own !== name ? `labelled ${name} (${own})` : `labelled ${name}`;
  const places = [...known(speaker, "speaker "), ...known(gender, ""), ...known(session, "session "), ...known(kind, ""), ...known(corpus, "")];
  return [label, ...places, `tested in ${entry.a.run.name}`].join(", ");
}

function bars(entry, side, two) {
  const { recognised, probabilities, loss, run } = entry[side];
  const verdict = `recognised as ${study.classes[recognised]}, loss ${loss.toFixed(2)}`;
  const place = run.division === entry.a.run.division ? "" : ` (${run.name})`;
  const caption = make("caption", { textContent: two ? `${side.toUpperCase()}${place}: ${verdict}` : `R${verdict.slice(1)}` });
  const lines = study.classes.map((name, number) => {
    const bar = make("div", { className: "bar" });
    bar.style.width = `${100 * probabilities[number]}%`;
    const line = make("tr", { className: number === entry.label ? "label" : "" });
    const heading = make("th", { scope: "row", textContent: number === entry.label ? `${name} (label)` : name });
    line.append(heading, make("td", {}, bar), make("td", { textContent: percent(probabilities[number]) }));
    return line;
  });
  return make("table", {}, caption, ...lines);
}

attempt(begin);
