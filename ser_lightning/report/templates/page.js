// Of columns: what a cell is sorted by; what is no number, as a dash, comes last
const value = cell => {
  const found = cell.textContent.trim().replace(/^<\s*/, "").match(/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?/i);
  return found ? Number(found[0]) : null;
};
const compare = (one, other) => {
  const [a, b] = [value(one), value(other)];
  if (a !== null && b !== null) return a - b;
  if (a !== null || b !== null) return a === null ? 1 : -1;
  return one.textContent.localeCompare(other.textContent, "en", {numeric: true});
};

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const known = row => value(row.cells[column]) !== null;
      const rows = [...body.rows].sort((one, other) => {
        const order = compare(one.cells[column], other.cells[column]);
        return falling && known(one) === known(other) ? -order : order;
      });
      body.append(...rows);
    });
  });
}

const contents = document.querySelector("nav details"), beside = matchMedia("(min-width: 62rem)");
const fold = () => { contents.open = beside.matches; };
beside.addEventListener("change", fold);
contents.addEventListener("click", event => { if (event.target.tagName === "A") fold(); });
fold();
