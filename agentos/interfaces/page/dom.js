// Elements. Everything shown is text: nothing here makes HTML of a string.

import { say } from "./words.js";

const ODD = /[\p{Cc}\p{Cf}]/gu;
const KEPT = new Set(["\n", "\t", "\u200c", "\u200d"]);
const SVG = "http://www.w3.org/2000/svg";

/** Text without control and direction characters: nothing shown may reorder what is read. */
export function clean(text) {
  return String(text ?? "").replaceAll("\r\n", "\n")
    .replace(ODD, (mark) => KEPT.has(mark) ? mark : "\\u" + mark.codePointAt(0).toString(16).padStart(4, "0"));
}

/**
 * An element.
 * @param {string} name `tag.class.class`
 * @param {object} given attributes; functions are listeners, `say` is a key of words.js, `args` what fills it in,
 *   `hint` the key of a placeholder, `called` that of an accessible name
 * @param {...any} children nodes, or text
 */
export function h(name, given = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (key === "say") label(made, value, given.args);
    else if (key === "hint") { made.dataset.sayHint = value; made.setAttribute("placeholder", say(value)); }
    else if (key === "called") { made.dataset.sayLabel = value; made.setAttribute("aria-label", say(value)); }
    else if (key === "args" || value === undefined || value === null || value === false) continue;
    else if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : clean(value));
  }
  made.append(...children.filter((one) => one !== null && one !== undefined && one !== "").map(node));
  return made;
}

/** An element of a drawing. */
export function svg(tag, given = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  made.append(...children.map(node));
  return made;
}

function node(child) {
  return child instanceof Node ? child : document.createTextNode(clean(child));
}

/** Gives an element words of the interface, which follow the language. */
export function label(element, key, args = []) {
  element.dataset.say = key;
  element.dataset.args = JSON.stringify(args);
  element.textContent = clean(say(key, ...args));
}

/** Says everything again in the language that is chosen now. */
export function translate(root = document) {
  for (const one of root.querySelectorAll("[data-say]")) {
    one.textContent = clean(say(one.dataset.say, ...JSON.parse(one.dataset.args ?? "[]")));
  }
  for (const one of root.querySelectorAll("[data-say-label]")) {
    one.setAttribute("aria-label", say(one.dataset.sayLabel));
  }
  for (const one of root.querySelectorAll("[data-say-hint]")) {
    one.setAttribute("placeholder", say(one.dataset.sayHint));
  }
}

/** Tells who listens to the page; replaces what was told before. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  live.textContent = clean(text);
}

/** An error as a line of its own. */
export function fault(error) {
  const keys = { away: "away", cut: "cut" };
  const made = h("p.error", { role: "alert" });
  if (keys[error.kind]) label(made, keys[error.kind]);
  else made.textContent = clean(error.message ?? error);
  return made;
}

/**
 * A table that can be filled again without losing the focus.
 * @param {{key: string, text?: (row: any) => any, mark?: (row: any) => string, number?: boolean,
 *   acts?: (row: any) => any[], sign?: (row: any) => string}[]} columns `acts` are made anew where `sign` has changed
 * @param {(row: any) => string} name what tells rows apart
 * @param {string} caption key of words.js
 */
export function table(columns, name, caption) {
  const body = h("tbody");
  const empty = h("p.empty", { say: "nothing" });
  const kind = (column, tag) => column.number ? `${tag}.number` : tag;
  const head = h("tr", {}, ...columns.map((column) => h(kind(column, "th"), { scope: "col", say: column.key })));
  const whole = h("table", {}, h("caption.unseen", { say: caption }), h("thead", {}, head), body);
  const element = h("div.table", {}, whole, empty);
  const rows = new Map();
  const fill = (listed) => {
    const seen = new Set();
    listed.forEach((row, at) => {
      const id = name(row);
      seen.add(id);
      if (!rows.has(id)) rows.set(id, h("tr", {}, ...columns.map((column) => h(kind(column, "td")))));
      const line = rows.get(id);
      columns.forEach((column, number) => cell(line.cells[number], column, row));
      if (body.children[at] !== line) body.insertBefore(line, body.children[at] ?? null);
    });
    for (const [id, line] of rows) if (!seen.has(id)) { line.remove(); rows.delete(id); }
    whole.hidden = !listed.length;
    empty.hidden = Boolean(listed.length);
  };
  return { element, fill };
}

function cell(place, column, row) {
  place.dataset.label = say(column.key);
  if (column.acts) {
    const sign = column.sign(row);
    if (place.dataset.sign === sign) return;
    place.dataset.sign = sign;
    place.classList.add("acts");
    place.replaceChildren(...column.acts(row).filter(Boolean));
    return;
  }
  const text = clean(column.text(row));
  if (place.textContent !== text) place.textContent = text;
  place.classList.toggle("none", text === "–");
  if (column.mark) place.dataset.mark = column.mark(row);
}
