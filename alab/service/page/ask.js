// Every request to the laboratory; whatever changes something is a POST with a name on it.

import { byId, element } from "./dom.js";

const field = byId("operator");
field.value = localStorage.getItem("operator") ?? "";
field.addEventListener("input", () => {
  field.classList.remove("missing");
  localStorage.setItem("operator", field.value.trim());
});

export async function get(path) {
  const answer = await fetch(`/api/${path}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}

// Returns whether it was done; tells the operator why if it was not.
export async function post(path, body = {}) {
  const by = field.value.trim();
  if (!by) {
    field.classList.add("missing");
    field.focus();
    tell("Say who you are first: every act is logged with a name.");
    return false;
  }
  try {
    const answer = await fetch(`/api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ by, ...body }),
    });
    if (!answer.ok) throw new Error(await reason(answer));
    return true;
  } catch (error) {
    tell(error.message);
    return false;
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
