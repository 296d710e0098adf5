/** The client's own payments: the newest when the list is opened, older ones a page at a time. */

import { PaymentProblem } from "../../../clients/javascript/src/payments.js";
import { messageFor } from "./messages.js";
import { inWords } from "./money.js";
import { labelOf } from "./words.js";

/**
 * @param {object} given
 * @param {import("../../../clients/javascript/src/payments.js").Payments} given.payments
 * @param {string} given.live The address of the live view.
 */
export function showMine({ payments, live }) {
  const box = document.querySelector("#mine");
  const list = document.querySelector("#payments");
  const status = document.querySelector("#payments-status");
  const older = document.querySelector("#older");
  let cursor = null;
  let opened = 0;

  async function load() {
    const now = opened;
    status.textContent = "One moment …";
    older.hidden = true;
    try {
      const page = await payments.list({ role: "client", cursor });
      if (now !== opened) {
        return; // closed and opened again meanwhile
      }
      list.append(...page.payments.map((payment) => entryOf(payment, live)));
      cursor = page.next_cursor;
      status.textContent = list.childElementCount === 0 ? "You have no payments yet." : "";
    } catch (problem) {
      if (!(problem instanceof PaymentProblem)) {
        throw problem;
      }
      status.textContent = messageFor(problem).text;
    }
    older.hidden = cursor === null;
  }

  box.addEventListener("toggle", () => {
    if (box.open) {
      opened += 1;
      cursor = null; // from the start: a payment may have changed since
      list.replaceChildren();
      load();
    }
  });
  older.addEventListener("click", load);
}

function entryOf(payment, live) {
  const entry = document.createElement("li");
  const { text, tone } = labelOf(payment);
  const label = document.createElement("span");
  label.className = "label";
  label.dataset.tone = tone;
  label.textContent = text;
  const link = document.createElement("a");
  link.href = `${live}#${payment.order_id}`;
  link.textContent = payment.order_id;
  const created = new Date(payment.created_at).toLocaleString("en-IN", { dateStyle: "medium", timeStyle: "short" });
  entry.append(label, `${inWords(payment.amount, payment.currency)}, ${created} `, link);
  return entry;
}
