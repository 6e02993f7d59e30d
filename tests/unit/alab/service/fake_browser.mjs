// Enough of a browser for the lab page: elements, a clock that is told, and a laboratory
// that answers, or hangs, as it is told.

class FakeElement {
  children = [];
  dataset = {};
  value = "";
  hidden = false;
  textContent = "";
  className = "";
  returnValue = "";
  #listeners = {};
  #classes = new Set();
  classList = {
    add: (name) => this.#classes.add(name),
    remove: (name) => this.#classes.delete(name),
    contains: (name) => this.#classes.has(name),
    toggle: (name, on) => (on ? this.#classes.add(name) : this.#classes.delete(name)),
  };
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  setAttribute(name, value) { this[name] = value; }
  addEventListener(kind, listener) { this.#listeners[kind] = listener; }
  contains() { return false; }
  querySelector() { return null; }
  focus() {}
  showModal() { this.open = true; }
  fire(kind) { return this.#listeners[kind]?.(); }
}

const elements = new Map();
export const byId = (id) => {
  if (!elements.has(id)) elements.set(id, new FakeElement());
  return elements.get(id);
};

export const laboratory = { hangs: false, asked: [] };
const FLOOR = {
  lab: { name: "A-Lab", laboratory_time: "2026-01-05T08:00:00+00:00", stopped: "" },
  campaigns: [], devices: [], furnaces: [], places: [], queue: [], ended: [], questions: [],
  alarms: [], decisions: [], events: [], last_event: null,
};

let now = Date.now();
let waiting = [];

function after(delayMs, act) {
  waiting.push({ at: now + delayMs, act });
}

// Let time pass, with everything that happens in it, without waiting for it.
export async function pass(lengthMs) {
  const end = now + lengthMs;
  for (;;) {
    await settled();
    const next = waiting.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
    if (!next) break;
    waiting = waiting.filter((entry) => entry !== next);
    now = next.at;
    next.act();
  }
  now = end;
}

export const settled = () => new Promise((done) => { setImmediate(done); });

Object.assign(globalThis, {
  CSS: { escape: (text) => text },
  document: {
    body: new FakeElement(),
    createElement: () => new FakeElement(),
    createElementNS: () => new FakeElement(),
    getElementById: byId,
  },
  fetch: async (path, { signal, method = "GET", body }) => {
    laboratory.asked.push({ path, method, ...JSON.parse(body ?? "{}") });
    if (laboratory.hangs) {
      return new Promise((_, fail) => {
        signal?.addEventListener("abort", () => fail(signal.reason));
      });
    }
    return { ok: true, json: async () => FLOOR };
  },
  localStorage: { getItem: () => null, setItem: () => {} },
  location: { hash: "" },
  setTimeout: (act, delayMs) => after(delayMs, act),
  clearTimeout: () => {},
});
Date.now = () => now;
AbortSignal.timeout = (lengthMs) => {
  const limit = new AbortController();
  after(lengthMs, () => limit.abort(new DOMException("timed out", "TimeoutError")));
  return limit.signal;
};
