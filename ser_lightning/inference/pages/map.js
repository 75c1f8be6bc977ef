// Maps of z on one canvas: a panel for each run, a point for each of its test utterances.

const TITLE = 22;
const MARGIN = 12;
const GAP = 10;
const REACH = 14;
const BLACK = "#000000";
const SHAPES = [circle, square, triangle, diamond, wedge, plus, cross];

function circle(path, x, y, r) {
  path.moveTo(x + r, y);
  path.arc(x, y, r, 0, 2 * Math.PI);
}

function square(path, x, y, r) {
  path.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
}

function polygon(path, x, y, r, corners) {
  corners.forEach(([dx, dy], place) => path[place ? "lineTo" : "moveTo"](x + r * dx, y + r * dy));
  path.closePath();
}

function triangle(path, x, y, r) {
  polygon(path, x, y, r, [[0, -1.15], [1.05, 0.8], [-1.05, 0.8]]);
}

function diamond(path, x, y, r) {
  polygon(path, x, y, r, [[0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]]);
}

function wedge(path, x, y, r) {
  polygon(path, x, y, r, [[0, 1.15], [1.05, -0.8], [-1.05, -0.8]]);
}

function plus(path, x, y, r) {
  path.rect(x - 1.2 * r, y - 0.4 * r, 2.4 * r, 0.8 * r);
  path.rect(x - 0.4 * r, y - 1.2 * r, 0.8 * r, 2.4 * r);
}

function cross(path, x, y, r) {
  const near = 0.5 * r, far = 1.1 * r;
  const corners = [[0, -near], [far - near, -far], [far, near - far], [near, 0], [far, far - near], [far - near, far],
    [0, near], [near - far, far], [-far, far - near], [-near, 0], [-far, near - far], [near - far, -far]];
  polygon(path, x, y, 1, corners);
}

/** What a class looks like: its colour, black being the colour of the ink, and its shape. */
export function look(number, colours, ink) {
  const colour = colours[number % colours.length];
  const turn = Math.floor(number / colours.length);
  return { colour: colour === BLACK ? ink : colour, shape: SHAPES[(number + turn) % SHAPES.length] };
}

/** The radius of a point by its loss in nats. */
export function radius(loss) {
  return 2.2 + 1.7 * Math.sqrt(Math.min(loss, 9));
}

/** A canvas as large as its box, drawn in CSS pixels. */
export function fit(canvas, height) {
  const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  if (height !== undefined) canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** A colour of the page's style. */
export function tone(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export class MapView {
  constructor(canvas, colours) {
    this.canvas = canvas;
    this.colours = colours;
    this.panels = [];
  }

  /**
   * Draw panels: {titles, side, run, entries: [{entry, outcome, shown}]}, where an outcome has the place of the point in
   * its run; of the titles the first that has room is written. `coordinates` is where a run's points are: run -> [[x, y], ...]; `selected` is an entry or null.
   */
  show(panels, coordinates, selected) {
    this.selected = selected;
    this.panels = panels.map((panel) => ({ ...panel, points: coordinates(panel.run) }));
    this.draw();
  }

  draw() {
    const width = this.canvas.clientWidth, count = this.panels.length;
    if (!width || !count) return;
    const columns = this.columns(width, count);
    const size = Math.min((width - GAP * (columns - 1)) / columns, 620);
    const context = fit(this.canvas, Math.ceil(count / columns) * (size + TITLE + GAP));
    context.clearRect(0, 0, width, this.canvas.clientHeight);
    const tones = { ink: tone("ink"), faint: tone("faint"), line: tone("line"), paper: tone("paper") };
    this.panels.forEach((panel, number) => {
      panel.x = (number % columns) * (size + GAP);
      panel.y = Math.floor(number / columns) * (size + TITLE + GAP);
      panel.size = size;
      this.place(panel);
      this.drawPanel(context, panel, tones);
    });
  }

  columns(width, count) {
    if (count === 1) return 1;
    const pairs = this.panels.some((panel) => panel.side === "b");
    const most = width < 450 ? 2 : count <= 4 ? 2 : count <= 9 ? 3 : 4;
    return pairs ? (most === 3 ? 2 : most) : most;
  }

  // Both axes on one scale, for distances in z are alike in all directions
  place(panel) {
    const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
    for (const point of panel.points) {
      for (const axis of [0, 1]) {
        low[axis] = Math.min(low[axis], point[axis]);
        high[axis] = Math.max(high[axis], point[axis]);
      }
    }
    const extent = Math.max(high[0] - low[0], high[1] - low[1]) || 1;
    const scale = (panel.size - 2 * MARGIN) / extent;
    const middle = [panel.x + panel.size / 2, panel.y + TITLE + panel.size / 2];
    for (const item of panel.entries) {
      const [x, y] = panel.points[item.outcome.place];
      item.x = middle[0] + scale * (x - (low[0] + high[0]) / 2);
      item.y = middle[1] - scale * (y - (low[1] + high[1]) / 2);
      item.radius = radius(item.outcome.loss) * (panel.size < 260 ? 0.75 : 1);
    }
  }

  drawPanel(context, panel, tones) {
    context.font = "600 13px system-ui, sans-serif";
    context.fillStyle = tones.ink;
    const title = panel.titles.find((text) => context.measureText(text).width <= panel.size) ?? panel.titles.at(-1);
    context.fillText(title, panel.x, panel.y + TITLE - 7, panel.size);
    context.strokeStyle = tones.line;
    context.lineWidth = 1;
    context.strokeRect(panel.x + 0.5, panel.y + TITLE + 0.5, panel.size - 1, panel.size - 1);

    const hidden = new Path2D();
    const paths = new Map();
    for (const item of panel.entries) {
      if (!item.shown) {
        hidden.rect(item.x - 1, item.y - 1, 2, 2);
        continue;
      }
      const wrong = item.outcome.recognised !== item.entry.label;
      const key = 2 * item.entry.label + wrong;
      if (!paths.has(key)) paths.set(key, new Path2D());
      look(item.entry.label, this.colours, tones.ink).shape(paths.get(key), item.x, item.y, item.radius);
    }
    context.fillStyle = tones.line;
    context.fill(hidden);
    // Errors above the others, and with an outline
    for (const key of [...paths.keys()].sort((one, other) => (one % 2) - (other % 2))) {
      context.globalAlpha = 0.7;
      context.fillStyle = look(Math.floor(key / 2), this.colours, tones.ink).colour;
      context.fill(paths.get(key));
      context.globalAlpha = 1;
      if (key % 2) {
        context.strokeStyle = tones.ink;
        context.lineWidth = 0.9;
        context.stroke(paths.get(key));
      }
    }
    for (const item of panel.entries.filter((one) => one.entry.utterance === this.selected?.utterance)) {
      for (const [colour, line] of [[tones.paper, 5], [tones.ink, 2.5]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.beginPath();
        context.arc(item.x, item.y, item.radius + 5, 0, 2 * Math.PI);
        context.stroke();
      }
    }
  }

  /** What is under a place of the canvas: {panel, item}, item being the nearest point within reach, or null. */
  at(x, y) {
    const panel = this.panels.find((one) => inside(one, x, y));
    if (!panel) return { panel: null, item: null };
    let [item, distance] = [null, REACH];
    for (const one of panel.entries) {
      const far = Math.hypot(one.x - x, one.y - y);
      if (one.shown && far < distance) [item, distance] = [one, far];
    }
    return { panel, item, title: y < panel.y + TITLE };
  }

  /** The shown point next to the selected one in the direction (dx, dy) of its panel; null where there is none. */
  neighbour(dx, dy) {
    for (const panel of this.panels) {
      const from = panel.entries.find((one) => one.entry === this.selected && one.shown);
      if (!from) continue;
      let [item, distance] = [null, Infinity];
      for (const one of panel.entries) {
        const along = (one.x - from.x) * dx + (one.y - from.y) * dy;
        const aside = Math.abs((one.x - from.x) * dy) + Math.abs((one.y - from.y) * dx);
        if (one.shown && one !== from && along > 0 && along + 2 * aside < distance) {
          [item, distance] = [one, along + 2 * aside];
        }
      }
      return item;
    }
    return null;
  }
}

function inside(panel, x, y) {
  return x >= panel.x && x <= panel.x + panel.size && y >= panel.y && y <= panel.y + TITLE + panel.size;
}
