// Elements without any markup from data: everything the laboratory says becomes text.

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") made.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

export function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);
export const empty = (text) => element("p", { class: "empty" }, text);

const drawn = new Map();

// Draw a panel again only when its data changed, and keep the keyboard's place in it.
export function draw(id, data, make) {
  const now = JSON.stringify(data);
  if (drawn.get(id) === now) return;
  drawn.set(id, now);
  const panel = byId(id);
  const focused = panel.contains(document.activeElement) && document.activeElement.dataset.key;
  const made = make(data);
  panel.replaceChildren(...(Array.isArray(made) ? made : [made]));
  if (focused) panel.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

export function table(headings, rows) {
  return element("table", {},
    element("thead", {}, element("tr", {},
      ...headings.map((heading) => element("th", { scope: "col" }, heading)))),
    element("tbody", {}, ...rows));
}

const COLOURS = {
  good: ["ready", "success", "made", "finished", "done"],
  busy: ["running", "preparing", "characterising", "regrinding", "loading", "unloading"],
  warm: ["firing", "heating", "partial", "inconclusive", "held", "paused", "stopping", "refire"],
  bad: ["offline", "quarantined", "failed", "given_up", "give_up", "cancelling", "fault"],
  odd: ["unknown"],
};

export function badge(word) {
  const colour = Object.keys(COLOURS).find((key) => COLOURS[key].includes(word));
  return element("span", { class: `badge ${colour ? `is-${colour}` : ""}` },
    String(word).replaceAll("_", " "));
}

export const moment = (at) => (at ? at.slice(0, 16).replace("T", " ") : "");
export const hour = (at) => (at ? at.slice(11, 16) : "");
export const percent = (fraction) => (fraction === null || fraction === undefined
  ? "" : `${(100 * fraction).toFixed(0)} wt %`);
