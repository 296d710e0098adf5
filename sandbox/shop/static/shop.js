/** The page: draws proposals and what becomes of each. How a payment works is in purchase.js and payments.js. */

import { loadCheckout, openCheckout } from "./checkout.js";
import { inWords } from "./money.js";
import { Payments } from "./payments.js";
import { Purchase } from "./purchase.js";
import { session, token } from "./session.js";

const STATES = {
  offered: { label: "Open", tone: "neutral" },
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

const list = document.querySelector("#proposals");
const template = document.querySelector("#proposal");
const calls = document.querySelector("#calls");

async function main() {
  const [config, client] = await Promise.all([fetch("/config.json").then((answer) => answer.json()), session()]);
  const payments = new Payments({ api: config.api, token, note: noteCall });
  document.querySelector("#gateway").textContent = config.gateway;
  document.querySelector("#start-over").addEventListener("click", async () => {
    await session({ startOver: true });
    location.reload();
  });
  draw(client, config, payments);
}

function draw(client, config, payments) {
  document.querySelector("#client").textContent = `${client.name}, client ${client.user_id}`;
  list.replaceChildren(...client.proposals.map((proposal) => cardOf(proposal, client, config, payments)));
  list.removeAttribute("aria-busy");
}

function cardOf(proposal, client, config, payments) {
  const card = template.content.firstElementChild.cloneNode(true);
  const part = (name) => card.querySelector(`[data-part="${name}"]`);
  const price = inWords(proposal.amount_minor, proposal.currency);
  part("title").textContent = proposal.title;
  part("title").id = `proposal-${proposal.application_id}`;
  card.setAttribute("aria-labelledby", part("title").id);
  part("freelancer").textContent = proposal.freelancer;
  part("text").textContent = proposal.text;
  part("price").textContent = price;

  const remembered = `order-of-${proposal.application_id}`;
  const show = (state) => {
    drawState(card, part, state, price);
    const orderId = localStorage.getItem(remembered);
    part("order").hidden = orderId === null;
    if (orderId !== null) {
      part("order").href = `${config.live}#${orderId}`;
      part("order").textContent = `See what happened to ${orderId}`;
    }
  };
  const purchase = new Purchase({
    offer: {
      job_id: proposal.job_id,
      application_id: proposal.application_id,
      client_id: client.user_id,
      freelancer_id: proposal.freelancer_id,
      amount: proposal.amount,
    },
    payments,
    checkout: async (order, onFailure) => {
      await loadCheckout(config.checkout_script);
      noteCall({ method: "Checkout", path: "opened", result: order.order_id });
      return openCheckout(
        {
          key: order.key_id,
          order_id: order.order_id,
          amount: order.amount,
          currency: order.currency,
          name: "Freelance, Inc.",
          description: proposal.title,
          prefill: client.prefill,
          notes: { proposal: proposal.title },
          modal: { confirm_close: true },
        },
        onFailure,
      );
    },
    remember: (orderId) =>
      orderId === null ? localStorage.removeItem(remembered) : localStorage.setItem(remembered, orderId),
    show,
  });
  part("pay").addEventListener("click", () => {
    if (part("pay").getAttribute("aria-disabled") !== "true") {
      purchase.start();
    }
  });
  show({ stage: "offered" });
  const orderId = localStorage.getItem(remembered);
  if (orderId !== null) {
    purchase.resume(orderId);
  }
  return card;
}

function drawState(card, part, { stage, payment, orderId, failure, message, slow }, price) {
  const { label, tone, text } = STATES[stage];
  card.dataset.stage = stage;
  part("label").textContent = label;
  part("label").dataset.tone = tone;
  part("status").textContent = [
    message?.text ?? text,
    stage === "review" ? `Order ${orderId}.` : "",
    failure && stage !== "confirmed" && stage !== "review" ? `The last attempt failed: ${failure.description}` : "",
    stage === "open" && !message ? openText(payment, failure) : "",
    stage === "confirmed" && payment.amount_refunded > 0
      ? `${inWords(payment.amount_refunded, payment.currency)} of it came back.`
      : "",
    payment?.under_review && stage !== "review" ? "A further payment is being checked; do not pay again." : "",
    slow && stage === "waiting" ? "This takes longer than usual. We go on without you: reload to see the state." : "",
    message?.reference ? `Reference for support: ${message.reference}` : "",
  ]
    .filter(Boolean)
    .join(" ");
  const next = message?.next ?? "pay";
  const pay = part("pay");
  // Not `disabled`: that would throw the keyboard's focus away.
  pay.setAttribute("aria-disabled", String(tone === "busy" || next === "stop"));
  pay.textContent = { offered: `Accept and pay ${price}` }[stage] ?? `${next === "sign-in" ? "Sign in and pay" : "Pay"} ${price}`;
  const done = stage === "confirmed" || stage === "refunded" || stage === "review";
  if (done && document.activeElement === pay) {
    card.focus(); // the button goes, the keyboard's place stays
  }
  pay.hidden = done;
}

function openText(payment, failure) {
  if (payment.status === "failed" && !failure) {
    return "The last attempt failed. You can try again, on the same order.";
  }
  return failure ? "You can try again." : "You left before paying. You can go on where you were.";
}

function noteCall({ method, path, result }) {
  const item = document.createElement("li");
  item.textContent = `${method} ${path} → ${result}`;
  calls.prepend(item);
}

await main();
