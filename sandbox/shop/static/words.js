/**
 * The texts of a card for each state of a purchase (purchase.js), independent of how it is drawn: the plain page and the
 * React example share them.
 */

import { inWords } from "./money.js";

const STATES = {
  offered: { label: "Open", tone: "neutral" },
  looking: { label: "One moment", tone: "busy", text: "Looking for your payment …" },
  ordering: { label: "One moment", tone: "busy", text: "Preparing your payment …" },
  checkout: { label: "Paying", tone: "busy", text: "Pay in the window that has opened." },
  verifying: { label: "Checking", tone: "busy", text: "Checking your payment …" },
  waiting: {
    label: "Payment received",
    tone: "busy",
    text: "Thank you. We are waiting for Razorpay's confirmation, usually for seconds. You may leave this page.",
  },
  open: { label: "Not paid yet", tone: "warn" },
  confirmed: { label: "Paid", tone: "ok", text: "Razorpay has confirmed your payment. The freelancer can start." },
  review: { label: "Being checked", tone: "warn", text: "Your payment is being checked; do not pay again." },
  refunded: { label: "Refunded", tone: "neutral", text: "You got all of your money back." },
  stopped: { label: "Not possible now", tone: "bad" },
};
/** Stages with nothing left to pay: the button is hidden. */
const DONE = new Set(["review", "confirmed", "refunded"]);

/**
 * @param {{stage: string, payment?: object, orderId?: string, failure?: {description: string} | null,
 *   message?: {text: string, next: string, reference?: string} | null, slow?: boolean, paid?: boolean}} state What
 *   Purchase shows.
 * @param {string} price Such as "₹2,500.00".
 * @returns {{label: string, tone: string, status: string, button: {text: string, disabled: boolean, hidden: boolean}}}
 */
export function describe({ stage, payment, orderId, failure, message, slow, paid }, price) {
  const { label, tone, text } = STATES[stage];
  const next = message?.next ?? "pay";
  return {
    label,
    tone,
    status: [
      message?.text ?? text,
      message && stage === "confirmed" ? text : "",
      stage === "review" ? `Order ${orderId}.` : "",
      failure && (stage === "open" || stage === "checkout") ? `The last attempt failed: ${failure.description}` : "",
      stage === "open" && !message ? openText(payment, failure) : "",
      stage === "confirmed" && payment.amount_refunded > 0
        ? `${inWords(payment.amount_refunded, payment.currency)} of it was refunded.`
        : "",
      payment?.under_review && stage !== "review" ? "A further payment is being checked; do not pay again." : "",
      slow && stage === "waiting" ? "This takes longer than usual. You can leave, and reload later to see the state." : "",
      message?.reference ? `Reference for support: ${message.reference}` : "",
    ]
      .filter(Boolean)
      .join(" "),
    button: {
      text: buttonText(stage, next, paid, price),
      disabled: tone === "busy" || next === "stop",
      hidden: DONE.has(stage),
    },
  };
}

/**
 * @param {{status: string, confirmed: boolean, under_review: boolean}} payment As the service lists it.
 * @returns {{text: string, tone: string}} Its state in two words. As on a card, only `confirmed` means money.
 */
export function labelOf({ status, confirmed, under_review }) {
  const stage =
    status === "refunded"
      ? "refunded"
      : under_review && status !== "paid"
        ? "review"
        : confirmed
          ? "confirmed"
          : status === "paid" || status === "authorized"
            ? "waiting"
            : "open";
  return { text: STATES[stage].label, tone: STATES[stage].tone };
}

/**
 * The text for an order that is not paid as far as the service knows. That is not certain: between the approval in the
 * customer's app and Razorpay's webhook, the service does not know of the payment. So never say that there was none.
 */
function openText(payment, failure) {
  if (payment.status === "failed" && !failure) {
    return "The last attempt failed. You can try again, on the same order.";
  }
  return failure
    ? "You can try again."
    : "No payment has arrived yet. If you approved one in your UPI or bank app, wait for it here; otherwise continue where you were.";
}

function buttonText(stage, next, paid, price) {
  if (next === "sign-in") {
    return paid ? "Sign in" : `Sign in and pay ${price}`;
  }
  return stage === "offered" ? `Accept and pay ${price}` : `Pay ${price}`;
}
