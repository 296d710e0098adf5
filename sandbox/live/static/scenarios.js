/** The buttons that play scenarios, and the progress of the current one. */

import { element, keep, mark, part, say } from "./dom.js";
import { draw, icon } from "./icons.js";
import { counted } from "./words.js";

const STATES = {
  playing: { words: "Playing …", tone: "busy" },
  met: { words: "All expectations met", tone: "ok" },
  not_met: { words: "Not all expectations met", tone: "bad" },
  failed: { words: "Failed", tone: "bad" },
};
const ICONS = { waiting: "plain", playing: "turn", done: "good", met: "good", failed: "bad", not_met: "bad" };
const WORDS = {
  waiting: "to come",
  playing: "now",
  done: "done",
  failed: "failed",
  met: "met",
  not_met: "not met",
};

/**
 * Create the buttons.
 *
 * @param {HTMLElement} where
 * @param {{name: string, title: string, about: string}[]} scenarios
 * @param {(name: string) => void} onPress
 */
export function makeButtons(where, scenarios, onPress) {
  for (const { name, title, about } of scenarios) {
    const described = `about-${name}`;
    const button = element(
      "button",
      { type: "button", "data-scenario": name, "aria-describedby": described, "aria-label": title },
      icon("play"),
      element("span", {}, title),
      element("span", { class: "about", id: described }, about),
    );
    button.addEventListener("click", () => onPress(name));
    where.append(button);
  }
}

/**
 * Ask the server to play a scenario.
 *
 * @param {string} name
 * @returns {Promise<string>} why it is not played, or empty if it is
 */
export async function play(name) {
  try {
    const answer = await fetch(`/live/scenarios/${encodeURIComponent(name)}`, { method: "POST" });
    return answer.ok ? "" : (await answer.json()).detail;
  } catch {
    return "The server does not answer; is it still running?";
  }
}

/**
 * Show a scenario's progress.
 *
 * @param {{buttons: HTMLElement, panel: HTMLElement, verdict: HTMLElement}} where
 * @param {object | null} scenario as the board has it; null before the first
 */
export function showScenario({ buttons, panel, verdict }, scenario) {
  const playing = scenario !== null && scenario.state === "playing";
  for (const button of buttons.children) {
    // Not `disabled`: the pressed button would lose the focus.
    mark(button, "aria-disabled", playing ? "true" : null);
    mark(button, "aria-current", playing && button.dataset.scenario === scenario.name ? "true" : null);
  }
  panel.hidden = scenario === null;
  if (scenario === null) {
    return;
  }
  const { words, tone } = STATES[scenario.state];
  say(part(panel, "title"), scenario.title);
  say(part(panel, "state"), words);
  mark(part(panel, "state"), "data-tone", tone);
  const order = part(panel, "order");
  order.hidden = scenario.order_id === null;
  mark(order, "href", `#${scenario.order_id ?? ""}`);
  say(part(panel, "problem"), scenario.problem);
  part(panel, "problem").hidden = scenario.problem === "";
  const key = (_line) => `${scenario.number}/${_line.number}`;
  keep(part(panel, "steps"), numbered(scenario.steps), key, line, updateLine);
  keep(part(panel, "expectations"), numbered(scenario.expectations), key, line, updateLine);
  // Only when it changes: a message about another press stays until then.
  const stage = `${scenario.number} ${scenario.state}`;
  if (panel.dataset.stage !== stage) {
    panel.dataset.stage = stage;
    say(verdict, playing ? "" : verdictOf(scenario));
  }
}

function verdictOf(scenario) {
  const all = scenario.expectations.length;
  const met = scenario.expectations.filter((expectation) => expectation.state === "met").length;
  switch (scenario.state) {
    case "met":
      return `${scenario.title}: all ${counted(all, "expectation")} met.`;
    case "not_met":
      return `${scenario.title}: ${met} of ${counted(all, "expectation")} met.`;
    default:
      return `${scenario.title}: ${scenario.problem}`;
  }
}

function numbered(lines) {
  return lines.map((shown, number) => ({ ...shown, number }));
}

function line({ who }) {
  return element(
    "li",
    {},
    icon("plain"),
    element(
      "span",
      {},
      ...(who === undefined ? [] : [element("span", { class: "who" }, `${who}: `)]),
      element("span", { "data-part": "what" }),
      element("span", { class: "muted small", "data-part": "state" }),
    ),
    element("span", { class: "seen", "data-part": "seen" }),
  );
}

function updateLine(shown, { what, state, seen }) {
  mark(shown, "data-state", state);
  draw(shown.querySelector("svg"), ICONS[state]);
  say(part(shown, "what"), what);
  say(part(shown, "state"), ` – ${WORDS[state]}`);
  say(part(shown, "seen"), seen);
}
