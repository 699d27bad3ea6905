// A sweep's table: the button in the heading of each column sorts the rows by it, and again the other way round.
"use strict";

for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function sortBy(heading) {
  const headings = [...heading.parentElement.children];
  const down = heading.ariaSort === "ascending";
  const place = headings.indexOf(heading);
  const body = heading.closest("table").tBodies[0];
  const cell = (row) => row.children[place].dataset.value ?? row.children[place].textContent;
  const rows = [...body.rows].sort((a, b) => compare(cell(a), cell(b), down ? -1 : 1));
  body.append(...rows);
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.ariaSort = down ? "descending" : "ascending";
  document.getElementById("sorted").textContent =
    `Sorted by ${heading.textContent}, ${down ? "the largest" : "the smallest"} first.`;
}

// Numbers by their value, texts by the alphabet after them, and what is empty last, whichever way.
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const [x, y] = [Number(a), Number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return sign * a.localeCompare(b, "en", { numeric: true });
  return sign * (x - y);
}
