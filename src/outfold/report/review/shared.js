"use strict";
// What the review pages share: elements, the browser's memory, files to download, buttons that keys press.
const element = (id) => document.getElementById(id);
const buttonOf = (action) => document.querySelector(`[data-action="${action}"]`);
// Not the attribute `disabled`: that would take the focus away from a button at the end of the list.
const disable = (action, off) => buttonOf(action).setAttribute("aria-disabled", off);

function words(tag, kind, text) {
  const made = document.createElement(tag);
  made.className = kind;
  made.textContent = text;
  return made;
}

// What was kept under a key, if it is still usable; null where it is not, or the browser refuses.
function recalled(key, usable) {
  try {
    const stored = JSON.parse(localStorage.getItem(key));
    return usable(stored) ? stored : null;
  } catch { // refused, or not JSON
    return null;
  }
}

function kept(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch { // refused, or full
    return false;
  }
}

function saveTable(name, rows) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(rows.map(csvLine), { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// RFC 4180: fields with separators, quotes or line ends are quoted, quotes in them doubled, lines end with CR LF.
function csvLine(row) {
  const quoted = (field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  return row.map((field) => quoted(String(field))).join(",") + "\r\n";
}

function bringIntoView(item) { // scrolls the list alone: scrollIntoView would move the page too
  const list = element("list");
  const above = item.offsetTop;
  const below = above + item.offsetHeight - list.clientHeight;
  list.scrollTop = Math.max(below, Math.min(above, list.scrollTop));
}

// A key presses its button; keys that are held down repeat the actions in `repeated` alone.
function bindActions(actions, repeated, isTyping = () => false) {
  const keys = new Map();
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") actions[button.dataset.action]();
    });
    for (const key of button.getAttribute("aria-keyshortcuts").toLowerCase().split(" ")) keys.set(key, button);
  }
  addEventListener("keydown", (event) => {
    const button = keys.get(event.key.toLowerCase());
    if (!button || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event)) return;
    event.preventDefault();
    if (!event.repeat || repeated.includes(button.dataset.action)) button.click();
  });
}
