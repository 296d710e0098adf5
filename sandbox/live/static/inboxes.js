/** The subscribers' notes, in three columns. */

import { element, keep, part, say } from "./dom.js";
import { counted, time } from "./words.js";

const LINES = 5;

const INBOXES = [
  { name: "job", title: "Job service" },
  { name: "application", title: "Application service" },
  { name: "notification", title: "Notification service" },
];

/**
 * @param {HTMLElement} where
 * @param {Record<string, {count: number, notes: object[]} | undefined>} inboxes by the subscriber's name
 */
export function showInboxes(where, inboxes) {
  keep(where, INBOXES, (inbox) => inbox.name, column, (shown, { name }) => {
    const { count, notes } = inboxes[name] ?? { count: 0, notes: [] };
    say(part(shown, "count"), count === 0 ? "nothing yet" : counted(count, "event"));
    keep(part(shown, "notes"), notes.slice(0, LINES), (note) => note.event_id, line, () => {});
    const more = count - Math.min(count, LINES);
    say(part(shown, "more"), more > 0 ? `and ${more} before` : "");
    part(shown, "more").hidden = more <= 0;
  });
}

function column({ name, title }) {
  const heading = `inbox-${name}`;
  return element(
    "section",
    { class: "card inbox", "aria-labelledby": heading },
    element(
      "header",
      {},
      element("h3", { id: heading }, title),
      element("span", { class: "muted small", "data-part": "count" }),
    ),
    element("ol", { "data-part": "notes" }),
    element("p", { class: "muted small", "data-part": "more", hidden: "" }),
  );
}

function line(note) {
  return element(
    "li",
    { class: "new" },
    element("span", {}, note.detail_type),
    element("time", { class: "muted", datetime: new Date(note.at * 1000).toISOString() }, time(note.at)),
    element(
      "span",
      { class: "from" },
      element("a", { href: `#${note.order_id}` }, element("code", {}, note.order_id)),
      ` version ${note.version}`,
    ),
  );
}
