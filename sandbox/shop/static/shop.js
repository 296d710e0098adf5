/** The page: draws proposals and the state of each. purchase.js handles payments, words.js has the texts. */

// The files of the package @payment-service/payments-client, which a bundler finds by that name.
import { loadCheckout, openCheckout, optionsFor } from "../../../clients/javascript/src/checkout.js";
import { Payments } from "../../../clients/javascript/src/payments.js";
import { showMine } from "./mine.js";
import { inWords } from "./money.js";
import { Purchase } from "./purchase.js";
import { quote, session, token } from "./session.js";
import { describe } from "./words.js";

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
  showMine({ payments, live: config.live });
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
    quote: () => quote(proposal.application_id),
    payments,
    checkout: async (order, onFailure) => {
      await loadCheckout(config.checkout_script);
      noteCall({ method: "Checkout", path: "opened", result: order.order_id });
      const shown = { name: "Freelance, Inc.", description: proposal.title, prefill: client.prefill };
      return openCheckout(optionsFor(order, { ...shown, notes: { proposal: proposal.title } }), onFailure);
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

function drawState(card, part, state, price) {
  const { label, tone, status, button } = describe(state, price);
  card.dataset.stage = state.stage;
  part("label").textContent = label;
  part("label").dataset.tone = tone;
  part("status").textContent = status;
  const pay = part("pay");
  // Not `disabled`: that would lose the keyboard focus.
  pay.setAttribute("aria-disabled", String(button.disabled));
  pay.textContent = button.text;
  if (button.hidden && document.activeElement === pay) {
    card.focus(); // the button disappears, but the focus stays
  }
  pay.hidden = button.hidden;
}

function noteCall({ method, path, result }) {
  const item = document.createElement("li");
  item.textContent = `${method} ${path} → ${result}`;
  calls.prepend(item);
}

await main();
