"use strict";
// A click on a column's name sorts the table by it, a second click the other way round; empty values stay last.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const names = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent;
  const compare = (a, b) => (a === "" || b === "" ? (a === "") - (b === "") :
    isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  names.forEach((name, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...name.childNodes);
    name.append(button);
    button.addEventListener("click", () => {
      const up = name.getAttribute("aria-sort") !== "ascending";
      const sign = (a, b) => (a === "" || b === "" || up ? 1 : -1) * compare(a, b);
      const rows = [...body.rows].sort((a, b) => sign(value(a, column), value(b, column)));
      names.forEach((other) => other.removeAttribute("aria-sort"));
      name.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...rows);
    });
  });
}
