/** Payments as cards, each with its timeline. */

import { element, keep, mark, part, say } from "./dom.js";
import { draw, icon } from "./icons.js";
import { counted, exactTime, money, statusOf, time } from "./words.js";

const KINDS = {
  order: "Order",
  attempt: "Customer",
  verify: "Verify",
  delivery: "Webhook",
  status: "Record",
  event: "Event",
  inbox: "Inbox",
  refund: "Refund",
  review: "Review",
};

/**
 * Show payments, newest first. Open details stay open, and the focus stays where it is.
 *
 * @param {HTMLElement} where
 * @param {object[]} payments as the board has them
 * @param {Set<string>} opened orders whose timeline is opened when their card appears
 */
export function showPayments(where, payments, opened) {
  keep(
    where,
    payments,
    (payment) => payment.order_id,
    (payment) => card(opened.has(payment.order_id)),
    update,
  );
}

/**
 * Return the card of an order.
 *
 * @param {HTMLElement} where
 * @param {string} orderId
 * @returns {HTMLElement | null} null if it is not shown
 */
export function cardOf(where, orderId) {
  return where.querySelector(`[data-key="${CSS.escape(orderId)}"]`);
}

/**
 * Open the timeline of an order that is shown.
 *
 * @param {HTMLElement} where
 * @param {string} orderId
 */
export function open(where, orderId) {
  const details = cardOf(where, orderId)?.querySelector("details");
  if (details) {
    details.open = true;
  }
}

function card(isOpen) {
  const label = element("p", { class: "label" }, icon("plain"), element("span", { "data-part": "status" }));
  const superseded = element("p", { class: "label flag", "data-tone": "neutral", "data-part": "superseded" }, "Superseded");
  const expired = element("p", { class: "label flag", "data-tone": "neutral", "data-part": "expired" }, "Expired");
  const reviews = element(
    "p",
    { class: "label flag", "data-tone": "warn", "data-part": "reviews" },
    icon("look"),
    element("span", { "data-part": "reasons" }),
  );
  const details = element(
    "details",
    isOpen ? { open: "" } : {},
    element("summary", {}, element("span", { "data-part": "summary" })),
    element("ol", { class: "timeline", "data-part": "timeline" }),
  );
  return element(
    "article",
    { class: "card payment new", tabindex: "-1" },
    element(
      "header",
      {},
      element("h3", { "data-part": "amount" }),
      element("code", { "data-part": "order" }),
      element("div", { class: "labels" }, label, superseded, expired, reviews),
    ),
    element("p", { class: "facts", "data-part": "facts" }),
    details,
  );
}

function update(shown, payment) {
  const { words, tone, icon: name } = statusOf(payment);
  const label = shown.querySelector(".label");
  mark(label, "data-tone", tone);
  draw(label.querySelector("svg"), name);
  say(part(shown, "status"), words);
  part(shown, "superseded").hidden = payment.superseded_by === null;
  part(shown, "expired").hidden = payment.expired_at === null;
  part(shown, "reviews").hidden = payment.reviews.length === 0;
  say(part(shown, "reasons"), `To be looked at: ${payment.reviews.map((reason) => reason.replaceAll("_", " ")).join(", ")}`);
  say(part(shown, "amount"), payment.amount === null ? "Unknown amount" : money(payment.amount, payment.currency));
  say(part(shown, "order"), payment.order_id);
  say(part(shown, "facts"), facts(payment).join(" · "));
  const last = payment.timeline.at(-1);
  say(
    part(shown, "summary"),
    `Timeline: ${counted(payment.timeline.length, "entry", "entries")}${last ? `, last “${last.title}”` : ""}`,
  );
  keep(part(shown, "timeline"), payment.timeline, (entry) => entry.key, line, updateLine);
}

function facts(payment) {
  return [
    payment.payment_id === null ? null : `payment ${payment.payment_id}`,
    `created ${time(payment.created_at)}`,
    `version ${payment.version}`,
    payment.amount_refunded > 0 ? `${money(payment.amount_refunded, payment.currency)} paid back` : null,
    payment.amount_disputed > 0 ? `${money(payment.amount_disputed, payment.currency)} lost in a dispute` : null,
    payment.superseded_by === null ? null : `superseded by ${payment.superseded_by}`,
    payment.expired_at === null ? null : `expired ${time(payment.expired_at)}`,
    payment.pending > 0 ? `${counted(payment.pending, "event")} waiting to be published` : null,
  ].filter((fact) => fact !== null);
}

function line(entry) {
  return element(
    "li",
    { class: "new" },
    element("time"),
    icon(entry.mood),
    element("span", { class: "kind" }, KINDS[entry.kind] ?? entry.kind),
    element("span", { class: "what" }, element("span", { class: "title" }), element("span", { class: "detail" })),
  );
}

function updateLine(shown, entry) {
  mark(shown, "data-mood", entry.mood);
  draw(shown.querySelector("svg"), entry.mood);
  const moment = shown.querySelector("time");
  mark(moment, "datetime", new Date(entry.at * 1000).toISOString());
  mark(moment, "title", entry.exact ? exactTime(entry.at) : null);
  say(moment, time(entry.at));
  say(shown.querySelector(".title"), entry.title);
  say(shown.querySelector(".detail"), entry.detail);
}
