"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element with a class and children; text stays text. */
function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null));
  return element;
}

// --- colours -------------------------------------------------------------------------------------------------------

const THEMES = { "": ["as the system", "◐"], light: ["light", "☀"], dark: ["dark", "☾"] };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const [name, sign] = THEMES[theme];
  find("#theme").textContent = sign;
  find("#theme").setAttribute("aria-label", `Colours: ${name}`);
  find("#theme").title = `Colours: ${name}`;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // a browser that keeps nothing for files
  }
}

function startTheme() {
  let kept = "";
  try {
    kept = localStorage.getItem("theme") ?? "";
  } catch {
    // as above
  }
  setTheme(kept in THEMES ? kept : "");
  const order = Object.keys(THEMES);
  find("#theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme;
    setTheme(order[(order.indexOf(now) + 1) % order.length]);
  });
}

// --- tables --------------------------------------------------------------------------------------------------------

const rowsOf = (body) => all("tr:not(.standing)", body);

/** What a row sorts by in a column: a number, text, or null where the figure is not known. */
function key(row, column) {
  const value = row.cells[column].dataset.sort;
  if (value === undefined || value === "") return null;
  return Number.isNaN(Number(value)) ? value : Number(value);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

/** Sort each group of rows for itself, so that no row leaves its standing; unknown figures stay last. */
function sort(table, column, direction) {
  for (const body of table.tBodies) {
    const rows = rowsOf(body).map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : direction * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  }
}

function startSorting(table) {
  const headers = all("thead tr:last-child th", table);
  headers.forEach((header, column) => {
    find("button", header).addEventListener("click", () => {
      const before = header.getAttribute("aria-sort");
      const first = header.classList.contains("text") ? "ascending" : "descending";
      const next = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
      headers.forEach((other) => other.setAttribute("aria-sort", other === header ? next : "none"));
      sort(table, column, next === "ascending" ? 1 : -1);
    });
  });
}

function startFilter(input) {
  const table = document.getElementById(input.dataset.filter);
  const count = find(`[data-count="${table.id}"]`);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let total = 0;
    for (const body of table.tBodies) {
      const rows = rowsOf(body);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      total += rows.length;
      const heading = find(".standing", body);
      if (heading) heading.hidden = rows.every((row) => row.hidden);
    }
    count.textContent = words.length ? `${shown} of ${total} rows` : "";
  });
}

function startGroups(fieldset) {
  const table = document.getElementById(fieldset.dataset.groups);
  fieldset.addEventListener("change", (event) => {
    table.classList.toggle(`hide-${event.target.value}`, !event.target.checked);
  });
}

// --- start ---------------------------------------------------------------------------------------------------------

function start() {
  startTheme();
  all("table[data-sortable]").forEach(startSorting);
  all("[data-filter]").forEach(startFilter);
  all("[data-groups]").forEach(startGroups);
  const data = JSON.parse(find("#data").textContent);
  find("#documents").hidden = data.tables.length === 0;
  all(".with-documents").forEach((link) => (link.parentElement.hidden = data.tables.length === 0));
  if (data.tables.length) new Explorer(data);
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const details of all("details:not([open])")) closed.push(details);
    closed.forEach((details) => (details.open = true));
  });
  addEventListener("afterprint", () => closed.splice(0).forEach((details) => (details.open = false)));
}

start();
