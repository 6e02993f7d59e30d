// Every request to the laboratory; whatever changes something is a POST with a name on it.

import { byId, element } from "./dom.js";

const field = byId("operator");
field.value = localStorage.getItem("operator") ?? "";
field.addEventListener("input", () => {
  field.classList.remove("missing");
  localStorage.setItem("operator", field.value.trim());
});

// A laboratory that hangs is told from one that works; an act may wait for devices.
const READING_LIMIT_MS = 5000, ACT_LIMIT_MS = 30000;

export function get(path) {
  return send(path, READING_LIMIT_MS, { headers: { Accept: "application/json" } });
}

// Returns whether it was done; tells the operator why if it was not.
// Only what must not wait for a name, the emergency stop, says who signs without one.
export async function post(path, body = {}, nameless = "") {
  const by = field.value.trim() || nameless;
  if (!by) {
    field.classList.add("missing");
    field.focus();
    tell("Say who you are first: every act is logged with a name.");
    return false;
  }
  try {
    await send(path, ACT_LIMIT_MS, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ by, ...body }),
    });
    return true;
  } catch (error) {
    tell(error.message);
    return false;
  }
}

async function send(path, limitMs, request) {
  const signal = AbortSignal.timeout(limitMs);
  try {
    const answer = await fetch(`/api/${path}`, { ...request, signal });
    if (!answer.ok) throw new Error(await reason(answer));
    return await answer.json();
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Error(`The laboratory did not answer within ${limitMs / 1000} s; `
      + "it may still do what was asked for: look before you ask again.");
  }
}

async function reason(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `The laboratory answered ${answer.status}; its log says why.`;
  }
}

let hiding = 0;

export function tell(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, 9000);
}

// Ask before something that cannot be undone.
export function confirmed(title, lines, word) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-body").replaceChildren(...lines.map((line) => element("p", {}, line)));
  byId("confirm-yes").textContent = word;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((settle) => {
    dialog.addEventListener("close", () => settle(dialog.returnValue === "yes"), { once: true });
  });
}
