/** The live view: receives the server's updates and shows them, part by part. */

import { element, keep, mark, say } from "./dom.js";
import { showInboxes } from "./inboxes.js";
import { cardOf, open, showPayments } from "./payments.js";
import { makeButtons, play, showScenario } from "./scenarios.js";
import { steadily } from "./steady.js";
import { listen } from "./stream.js";

const CONNECTION = {
  live: { words: "Live", tone: "ok" },
  lost: { words: "Connection lost, trying again …", tone: "bad" },
};
const ORDER = /^#(order_[A-Za-z0-9]+)$/;

const at = (id) => document.getElementById(id);
const where = { buttons: at("scenarios"), panel: at("play"), verdict: at("verdict") };

/** Everything the server has sent, by the part's name. */
let parts = {};
/** Orders whose timeline starts open: the first one seen, the chosen one, and those of scenarios. */
const opened = new Set();
/** The order that the page was opened for: scrolled into view once, when it appears. */
let awaited = chosen();

listen(
  "/live/stream",
  (told, whole) => {
    parts = whole ? told : { ...parts, ...told };
    steadily(at("payments"), show);
  },
  (state) => {
    const { words, tone } = CONNECTION[state];
    say(at("connection"), words);
    mark(at("connection"), "data-tone", tone);
  },
);
window.addEventListener("hashchange", () => {
  show();
  reveal(chosen());
});
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#order_"]');
  if (link !== null && link.hash === location.hash) {
    // The URL does not change, so the browser does not navigate, but the viewer wants to see the order.
    event.preventDefault();
    reveal(chosen());
  }
});
await prepareButtons();

function show() {
  const order = chosen();
  const ids = parts.payments ?? [];
  if (opened.size === 0 && ids.length > 0) {
    opened.add(ids[0]);
  }
  openOnce(order);
  openOnce(parts.scenario?.order_id ?? null);
  const shown = order === null ? ids : ids.filter((id) => id === order);
  showPayments(at("payments"), shown.map((id) => parts[`payment/${id}`]), opened);
  showNothing(order, shown);
  at("filter").hidden = order === null;
  say(at("filter").firstElementChild, order === null ? "" : `Only ${order}.`);
  showInboxes(at("inboxes"), {
    job: parts["inbox/job"],
    application: parts["inbox/application"],
    notification: parts["inbox/notification"],
  });
  showScenario(where, parts.scenario ?? null);
  if (awaited !== null && cardOf(at("payments"), awaited) !== null) {
    reveal(awaited);
    awaited = null;
  }
  const away = parts.away ?? [];
  at("away").hidden = away.length === 0;
  keep(at("away"), away, (words) => words, (words) => element("li", {}, words), () => {});
}

/** The order named in the URL, for example by the shop's link to its payment; null for all. */
function chosen() {
  return ORDER.exec(location.hash)?.[1] ?? null;
}

/** Scroll an order's card into view and focus it; return what to say if there is none. */
function reveal(order) {
  const card = order === null ? null : cardOf(at("payments"), order);
  (card ?? (order === null ? null : at("nothing")))?.scrollIntoView({ block: "start" });
  card?.focus({ preventScroll: true });
}

/** Open an order's timeline the first time it is requested; after that only the viewer opens and closes it. */
function openOnce(order) {
  if (order !== null && !opened.has(order)) {
    opened.add(order);
    open(at("payments"), order);
  }
}

function showNothing(order, shown) {
  const known = parts.payments !== undefined;
  at("nothing").hidden = shown.length > 0;
  const none =
    order === null
      ? "No payment yet. Accept a proposal in the shop, or play a scenario."
      : `${order} is not among the newest payments.`;
  say(at("nothing"), known ? none : "Looking …");
}

async function prepareButtons() {
  const { scenarios } = await (await fetch("/live/scenarios")).json();
  at("no-scenarios").hidden = scenarios.length > 0;
  makeButtons(where.buttons, scenarios, async (name) => {
    if (parts.scenario?.state === "playing") {
      say(where.verdict, `“${parts.scenario.title}” is being played; wait until it has ended.`);
      return;
    }
    say(where.verdict, "");
    say(where.verdict, await play(name));
  });
  show();
}
