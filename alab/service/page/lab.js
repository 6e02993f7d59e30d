// The lab page: asks for the whole floor every second and draws what changed.

import { confirmed, get, post } from "./ask.js";
import { heatingCurve } from "./curve.js";
import { badge, byId, draw, element, empty, hour, moment, percent, shape, table } from "./dom.js";
import { showSample } from "./sample.js";

const PERIOD_MS = 1000;
const LOG_LINES = 200;
const STALE_AFTER_MS = 5000;
let lastEvent = null;
let log = [];
let newsAt = Date.now();

async function refresh() {
  try {
    const since = lastEvent === null ? "" : `?since=${lastEvent}`;
    show(await get(`floor${since}`));
    newsAt = Date.now();
    byId("link").textContent = "";
  } catch {
    byId("link").textContent = `no news since ${new Date(newsAt).toLocaleTimeString()}`;
    byId("link").className = "badge is-bad";
  }
  document.body.classList.toggle("stale", Date.now() - newsAt >= STALE_AFTER_MS);
  setTimeout(refresh, PERIOD_MS);
}

function show(floor) {
  header(floor.lab);
  if (floor.events.length) {
    lastEvent = floor.last_event;
    log = [...floor.events.reverse(), ...log].slice(0, LOG_LINES);
  }
  byId("attention").hidden = !(floor.questions.length || floor.alarms.length);
  draw("attention-list", { questions: floor.questions, alarms: floor.alarms }, attention);
  draw("campaigns", floor.campaigns, campaigns);
  draw("furnaces", { furnaces: floor.furnaces, devices: floor.devices }, furnaces);
  draw("queue", floor.queue, queue);
  draw("ended", floor.ended, ended);
  draw("decisions", floor.decisions, decisions);
  draw("devices", floor.devices, devices);
  draw("places", floor.places, places);
  draw("log", log, (lines) => lines.map(logLine));
}

function header(lab) {
  document.title = `${lab.stopped ? "STOPPED – " : ""}${lab.name} – alab`;
  byId("lab-name").textContent = lab.name;
  byId("mode").textContent = lab.simulated ? "simulated" : "real devices";
  byId("mode").className = `badge ${lab.simulated ? "is-busy" : "is-warm"}`;
  byId("time").textContent = `${lab.laboratory_time.slice(0, 19).replace("T", " ")} UTC`;
  byId("time").dateTime = lab.laboratory_time;
  byId("prefect").href = lab.prefect_url;
  byId("stopped").hidden = !lab.stopped;
  byId("stop").hidden = Boolean(lab.stopped);
  draw("stopped", lab.stopped, (why) => [
    `Emergency stop: ${why}. Nothing starts.`,
    element("button", { on: resetStop, type: "button" }, "Release the stop"),
  ]);
}

function attention({ questions, alarms }) {
  return [
    ...questions.map((question) => element("div", { class: "notice" },
      badge("question"),
      element("p", {}, question.text, " ", element("span", { class: "muted small" }, moment(question.asked_at))),
      ...question.options.map((answer) => element("button", {
        type: "button", "data-key": `${question.id} ${answer}`,
        on: () => post(`questions/${question.id}/answer`, { answer }),
      }, answer)))),
    ...alarms.map((alarm) => element("div", { class: "notice" },
      element("span", { class: "badge is-bad" }, "alarm"),
      element("p", {}, element("strong", {}, `${alarm.device}: `), alarm.text, " ",
        element("span", { class: "muted small" }, moment(alarm.raised_at))),
      element("button", {
        type: "button", "data-key": `alarm ${alarm.id}`,
        on: () => post(`alarms/${alarm.id}/acknowledge`),
      }, "Acknowledge"))),
  ];
}

function campaigns(list) {
  if (!list.length) return empty("No campaign yet. In a terminal: alab campaign start NAME");
  return [...list].reverse().map((campaign) => {
    const counts = campaign.targets;
    const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
    const bar = shape("svg", {
      class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
      "aria-label": `${counts.made ?? 0} of ${total} targets made`,
    });
    let x = 0;
    for (const status of ["made", "given_up", "cancelled"]) {
      const width = (100 * (counts[status] ?? 0)) / total;
      bar.append(shape("rect", { class: `fill-${status}`, x, width, height: 10 }));
      x += width;
    }
    const told = Object.entries(counts).map(([status, n]) => `${n} ${status.replace("_", " ")}`);
    const samples = Object.values(campaign.samples).reduce((sum, n) => sum + n, 0);
    return element("article", {},
      element("div", { class: "campaign-head" },
        element("h3", {}, campaign.name), badge(campaign.status),
        element("a", { href: `/api/campaigns/${encodeURIComponent(campaign.name)}/report` }, "Report")),
      bar,
      element("span", { class: "muted small" },
        `${total} targets: ${told.join(", ")} · ${samples} samples · since ${moment(campaign.created_at)}`));
  });
}

function furnaces({ furnaces: list, devices: all }) {
  return list.map((furnace) => {
    const device = all.find((row) => row.name === furnace.name) ?? {};
    const firing = furnace.firing;
    const now = device.temperature_c === null ? "–" : `${Math.round(device.temperature_c)} °C`;
    const toward = device.setpoint_c === null ? "" : ` → ${Math.round(device.setpoint_c)}`;
    const loaded = firing ? Object.keys(firing.slots).length : 0;
    const under = firing && !firing.ended_at
      ? `Firing ${firing.id} in ${firing.atmosphere}, ${loaded} of ${furnace.slots_total} crucibles`
      : `Free${firing ? `; last was firing ${firing.id}, ended ${moment(firing.ended_at)}` : ""}`;
    return element("article", { class: "furnace" },
      element("div", { class: "furnace-head" },
        element("h3", {}, furnace.name),
        badge(firing && !firing.ended_at ? firing.status : device.state),
        element("span", { class: "degrees" }, now, element("span", { class: "muted small" }, toward))),
      element("p", { class: "muted" }, under),
      heatingCurve(furnace.curve, furnace.max_temperature_c, `Heating curve of ${furnace.name}, now ${now}`));
  });
}

const sampleLink = (name) => element("button", {
  class: "plain", type: "button", "data-key": `show ${name}`, on: () => showSample(name),
}, name);

function queue(rows) {
  if (!rows.length) return empty("Nothing is under way.");
  return table(["Sample", "Status", "At", "Priority", ""], rows.map((row) => element("tr", {},
    element("td", {}, sampleLink(row.name), row.note && row.status === "unknown" ? element("div", { class: "muted small" }, row.note) : ""),
    element("td", {}, badge(row.status), " ", row.control === "run" ? "" : badge(row.control),
      row.round > 1 ? element("span", { class: "muted small" }, ` round ${row.round}`) : ""),
    element("td", { class: "small" }, row.at.join(", ")),
    element("td", { class: "number" }, String(row.priority)),
    element("td", { class: "actions" }, ...wishes(row)))));
}

const POSSIBLE = {
  run: (row) => [row.status === "queued" ? "hold" : "pause", "cancel"],
  held: () => ["release", "cancel"],
  paused: () => ["resume", "cancel"],
  cancelling: () => [],
};

function wishes(row) {
  return (POSSIBLE[row.control]?.(row) ?? []).map((wish) => element("button", {
    type: "button", "data-key": `${wish} ${row.name}`, "aria-label": `${wish} ${row.name}`,
    on: () => ask(row.name, wish),
  }, wish));
}

async function ask(sample, wish) {
  if (wish === "cancel") {
    const meanings = await get(`cancellation?sample=${encodeURIComponent(sample)}`);
    const lines = meanings.map((row) => `It is ${row.status}. If cancelled: ${row.means}.`);
    if (!await confirmed(`Cancel ${sample}?`, lines, "Cancel the sample")) return;
  }
  await post(`samples/${encodeURIComponent(sample)}/wish`, { wish });
}

function ended(rows) {
  if (!rows.length) return empty("Nothing has ended yet.");
  return table(["Sample", "Status", "Verdict", "Target", "When"], rows.map((row) => element("tr", {},
    element("td", {}, sampleLink(row.name)),
    element("td", {}, badge(row.status)),
    element("td", {}, row.verdict ? badge(row.verdict) : ""),
    element("td", { class: "number" }, percent(row.target_weight_fraction)),
    element("td", { class: "number small muted" }, moment(row.status_at)))));
}

function decisions(rows) {
  if (!rows.length) return empty("None yet.");
  return rows.map((row) => element("li", {},
    element("strong", {}, row.target), " ", badge(row.step ?? "decided"), " ",
    row.verdict ? element("span", { class: "small" }, `${row.verdict}, ${percent(row.target_weight_fraction)}`) : "",
    element("p", {}, row.reasons.join(" ")),
    element("span", { class: "small" }, sampleLink(row.sample)),
    element("span", { class: "muted small" }, ` round ${row.round}, ${moment(row.decided_at)}`)));
}

function devices(rows) {
  return table(["Device", "State", "", ""], rows.map((row) => {
    const ready = row.state === "ready";
    const hot = row.temperature_c === null ? "" : `${Math.round(row.temperature_c)} °C`;
    return element("tr", {},
      element("td", {}, row.name, element("div", { class: "muted small" }, row.title ?? "")),
      element("td", {}, badge(row.state), row.note ? element("div", { class: "muted small" }, row.note) : ""),
      element("td", { class: "small" }, [hot, row.held_by].filter(Boolean).join(", ")),
      element("td", { class: "actions" }, element("button", {
        type: "button", "data-key": `device ${row.name}`,
        "aria-label": ready ? `Quarantine ${row.name}` : `Make ${row.name} ready`,
        on: () => setDevice(row.name, ready),
      }, ready ? "quarantine" : "make ready")));
  }));
}

async function setDevice(name, ready) {
  if (ready && !await confirmed(`Quarantine ${name}?`,
    ["It gets no more work. What it is doing now goes on to its end."], "Quarantine")) return;
  await post(`devices/${encodeURIComponent(name)}/${ready ? "quarantine" : "ready"}`);
}

function places(rows) {
  return rows.map((place) => element("div", { class: "place" },
    element("div", {}, place.place, element("span", { class: "muted small" },
      `${place.occupied} of ${place.total}${place.unknown ? `, ${place.unknown} unknown` : ""}`)),
    element("div", { class: "slots" }, ...place.slots.map(slot))));
}

function slot(row) {
  const title = [row.slot, row.sample ?? (row.reserved_by ? `reserved by ${row.reserved_by}` : "free"),
    row.unknown ? "unknown" : ""].filter(Boolean).join(": ");
  const kind = row.unknown ? "lost" : row.sample ? "taken" : row.reserved_by ? "reserved" : "";
  if (!row.sample) return element("i", { class: `slot ${kind}`, title });
  return element("button", {
    class: `slot ${kind}`, type: "button", title, "aria-label": title, "data-key": row.slot,
    on: () => showSample(row.sample),
  });
}

function logLine(event) {
  return element("li", {}, element("time", { datetime: event.at, title: moment(event.at) }, hour(event.at)),
    element("strong", {}, event.subject), ` ${event.text}`,
    event.actor === "laboratory" ? "" : element("span", { class: "muted" }, ` – ${event.actor}`));
}

async function resetStop() {
  if (await confirmed("Release the stop?", ["Devices will be given work again."], "Release")) {
    await post("stop/reset");
  }
}

byId("stop").addEventListener("click", async () => {
  const lines = ["Every device goes into its safe state: furnaces reset their programs and cool, "
    + "arms pause, the doser and the mixer stop. Nothing starts until the stop is released."];
  if (await confirmed("Stop every device now?", lines, "Stop everything")) {
    await post("stop", { reason: "pressed on the lab page" }, "someone at the lab page");
  }
});

refresh();
if (location.hash.startsWith("#sample=")) {
  showSample(decodeURIComponent(location.hash.slice("#sample=".length)));
}
