"use strict";

// -- tables are sorted by their heads: a click or Enter, again for the other way round --

const sortKey = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = text === "∞" ? Infinity : parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? text : number;
};

const isMissing = (key) => key === "--" || key === "";

const compare = (one, other) =>
  typeof one === "number" && typeof other === "number"
    ? one < other ? -1 : one > other ? 1 : 0
    : String(one).localeCompare(String(other), "en");

const sort = (table, head, column) => {
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: sortKey(row, column) }));
  rows.sort((one, other) => isMissing(one.key) - isMissing(other.key) || sign * compare(one.key, other.key));
  table.tBodies[0].append(...rows.map(({ row }) => row));
};

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head, column));
    head.append(button);
  });
}

// -- contenders are taken out of and put back into all tables and figures --

const panel = document.getElementById("shown");
const boxes = [...panel.querySelectorAll("input")];
const owned = [...document.querySelectorAll("[data-contender]")];

const show = () => {
  const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  for (const element of owned) {
    element.classList.toggle("off", element.dataset.contender.split(" ").every((name) => off.has(name)));
  }
};

panel.addEventListener("change", show);
panel.addEventListener("click", ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  for (const box of boxes) box.checked = target.dataset.all === "on";
  show();
});
panel.hidden = false;
show(); // a browser that goes back keeps what was checked

// -- what is wider than its box is scrolled by the keyboard too --

const reachable = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll(".scroll")) reachable.observe(box);
