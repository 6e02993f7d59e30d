// The dialog that tells the whole story of one sample.

import { get, tell } from "./ask.js";
import { refinedPattern } from "./curve.js";
import { badge, byId, element, moment, percent, table } from "./dom.js";

export async function showSample(name) {
  try {
    const [sample, why] = await Promise.all([
      get(`samples/${encodeURIComponent(name)}`),
      get(`samples/${encodeURIComponent(name)}/why`),
    ]);
    byId("sample-title").replaceChildren(`${sample.name} `, badge(sample.status));
    byId("sample-body").replaceChildren(
      ...why.map((words) => element("p", {}, words)),
      element("h3", {}, "Recipe"),
      element("p", {}, sample.recipe.reaction),
      masses(sample),
      ...sample.recipe.reasons.map((words) => element("p", { class: "muted" }, words)),
      ...sample.attempts.flatMap((attempt) => story(sample.name, attempt)),
      element("h3", {}, "Log"),
      table(["When (UTC)", "Who", "What"], sample.events.map((event) => element("tr", {},
        element("td", { class: "number small" }, moment(event.at)),
        element("td", { class: "small" }, event.actor),
        element("td", { class: "small" }, event.text)))),
    );
    byId("sample").showModal();
  } catch (error) {
    tell(error.message);
  }
}

function masses(sample) {
  const weighed = new Map(sample.doses.map((dose) => [dose.formula, dose]));
  return table(["Powder", "Wanted mg", "Weighed mg", "Off by"],
    sample.recipe.precursors.map((powder) => {
      const dose = weighed.get(powder.formula);
      const off = dose && `${dose.deviation_percent >= 0 ? "+" : ""}${dose.deviation_percent.toFixed(2)} %`;
      return element("tr", {},
        element("td", {}, powder.formula),
        element("td", { class: "number" }, powder.mass_mg.toFixed(1)),
        element("td", { class: "number" }, dose ? dose.dosed_mg.toFixed(1) : ""),
        element("td", { class: "number" }, off ?? ""));
    }));
}

function story(name, attempt) {
  const hottest = Math.max(...attempt.recipe.profile.segments.map((s) => s.temperature_c));
  const furnace = attempt.furnace ? ` in ${attempt.furnace}` : "";
  const told = [
    element("h3", {}, `Round ${attempt.round}: ${hottest} °C in ${attempt.recipe.atmosphere}${furnace}`),
  ];
  const outcome = attempt.outcome;
  if (outcome) {
    const phases = outcome.phases.map((p) =>
      `${p.formula} ${(100 * p.weight_fraction).toFixed(1)} ± ${(100 * p.weight_fraction_esd).toFixed(1)} wt %`);
    told.push(element("p", {}, badge(outcome.verdict),
      ` target ${percent(outcome.target_weight_fraction)} of the crystalline part, `
      + `R_wp ${outcome.r_wp_percent.toFixed(1)} %. ${phases.join(", ")}`));
    told.push(...outcome.reasons.map((words) => element("p", { class: "muted" }, words)));
  }
  if (attempt.has_pattern) told.push(patternOf(name, attempt.round));
  if (attempt.decision) {
    told.push(element("p", {}, badge(attempt.decision.step), ` ${attempt.decision.reasons.join(" ")}`));
  }
  return told;
}

function patternOf(name, round) {
  const holder = element("div", {});
  get(`samples/${encodeURIComponent(name)}/patterns/${round}`)
    .then((pattern) => holder.append(refinedPattern(pattern) ?? ""))
    .catch((error) => holder.append(element("p", { class: "muted" }, error.message)));
  return holder;
}
