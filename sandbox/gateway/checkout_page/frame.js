/**
 * The frame of the stand-in's Checkout: one screen at a time, from the order's amount to the result for the merchant's
 * page.
 *
 * It talks only to the page that embeds it and to the stand-in that served it. A CVV and an expiry date never leave it. A
 * card number goes to the stand-in, which keeps only what Razorpay would tell a merchant about it.
 */

import { BANKS, ERROR_CARDS, TEST_CARDS, UPI_APPS, grouped, networkOf } from "./instruments.js";
import { money } from "./money.js";
import { tabs } from "./tabs.js";
import { flowsOf, qrPicture } from "./upi.js";
import * as validity from "./validity.js";

/** The embedding page names its origin in the URL. A lie gains nothing: messages are delivered only to that origin. */
const MERCHANT = decodeURIComponent(window.location.hash.slice(1));
const SCREENS = ["loading", "methods", "otp", "app", "bank-page", "processing", "failed", "refused", "confirm"];
const REFUSED_TITLES = {
  order_already_paid: "This order is already paid",
  duplicate_request: "Another payment is under way",
};
/** Above this luminance black text has the better contrast, otherwise white; either way at least 4.5:1. */
const MIDDLE_LUMINANCE = 0.179;

const at = (id) => document.getElementById(id);
const methods = tabs(document.querySelector('[role="tablist"]'));

/** What the merchant's page asked for; until then nothing is shown. */
let options = null;
let order = null;
/** The payment method in use, between the form and the bank's page. */
let press = null;
/** How UPI is offered here. */
let flows = [];
/** The payment that waits for the customer's UPI app. */
let underWay = null;
let screen = "loading";

// --- the merchant's page ---

function tellMerchant(message) {
  window.parent.postMessage(message, MERCHANT);
}

window.addEventListener("message", (message) => {
  if (message.origin !== MERCHANT || message.source !== window.parent) {
    return;
  }
  if (message.data?.type === "open" && options === null) {
    open(message.data.options);
  } else if (message.data?.type === "escape") {
    escape();
  }
});

async function open(asked) {
  options = asked;
  showMerchant();
  at("sheet").hidden = false;
  show("loading");
  if (!offerMethods()) {
    refuse({ reason: "NA", description: "The option config.display.hide leaves no way to pay." });
    return;
  }
  prefill();
  const query = new URLSearchParams({ key_id: options.key });
  order = await answer(fetch(`/v1/checkout/orders/${encodeURIComponent(options.orderId)}?${query}`));
  if (order.error !== undefined) {
    refuse(order.error);
    return;
  }
  const sum = money(order.amount_due || order.amount, order.currency, order.exponent);
  at("amount").textContent = sum;
  at("pay").textContent = `Pay ${sum}`;
  if (order.status === "paid") {
    refuse({ reason: "order_already_paid", description: "Nothing is left to pay, and nothing was charged now." });
    return;
  }
  show("methods");
}

/** The stand-in's JSON, including error objects in Razorpay's shape; any other problem in that same shape. */
async function answer(request) {
  try {
    return await (await request).json();
  } catch {
    return { error: { reason: "NA", description: "The stand-in did not answer. Is it still running?" } };
  }
}

// --- what is shown ---

function showMerchant() {
  const name = options.name || "Merchant";
  at("merchant").textContent = name;
  at("description").textContent = options.description;
  at("initial").textContent = [...name][0].toUpperCase();
  if (isLoadable(options.image)) {
    const logo = at("logo");
    logo.addEventListener("load", () => {
      logo.hidden = false;
    });
    logo.src = options.image;
  }
  document.body.classList.toggle("animated", options.modal.animation);
  if (options.color !== null) {
    const { style } = document.documentElement;
    style.setProperty("--brand", options.color);
    style.setProperty("--on-brand", luminance(options.color) > MIDDLE_LUMINANCE ? "#000000" : "#ffffff");
  }
}

/** The page's policy allows only these images: the stand-in requests nothing from other machines. */
function isLoadable(address) {
  return /^(data:image\/|http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/)/.test(address);
}

/** WCAG's relative luminance, from 0 to 1. */
function luminance(color) {
  const [red, green, blue] = [1, 3, 5].map((from) => {
    const share = parseInt(color.slice(from, from + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Show one screen, with the focus on its heading, so that a screen reader announces it. */
function show(name) {
  screen = name;
  for (const id of SCREENS) {
    at(id).hidden = id !== name;
  }
  at(`${name}-title`).focus();
  document.querySelector(".screens").scrollTop = 0;
  at("sheet").scrollTop = 0;
}

function refuse({ reason, description }) {
  at("refused-title").textContent = REFUSED_TITLES[reason] ?? "This order cannot be paid";
  at("refused-description").textContent = description;
  at("refused-reason").textContent = reason;
  at("refused-order").textContent = options.orderId;
  show("refused");
}

// --- the form ---

/** Show the payment methods that this merchant and device allow; return whether there are any. */
function offerMethods() {
  flows = flowsOf(navigator, options.hidden);
  at("upi-qr").hidden = !flows.includes("qr");
  at("upi-apps").hidden = !flows.includes("intent");
  offerApps();
  showFlow();
  const hidden = new Set(options.hidden.filter((rule) => rule.flows === null).map((rule) => rule.method));
  if (flows.length === 0) {
    hidden.add("upi");
  }
  const shown = [...document.querySelectorAll('[role="tab"]')].filter((tab) => {
    tab.hidden = hidden.has(tab.dataset.method);
    return !tab.hidden;
  });
  if (shown.length > 0) {
    methods.select(shown[0]);
  }
  return shown.length > 0;
}

function prefill() {
  const { name, email, contact, method } = options.prefill;
  at("contact").value = withCountry(contact);
  at("email").value = email;
  at("card-name").value = name;
  // Only a filled field can be read-only: an empty one that nobody can fill would be a dead end.
  at("contact").readOnly = options.readonly.contact && contact !== "";
  at("email").readOnly = options.readonly.email && email !== "";
  at("card-name").readOnly = options.readonly.name && name !== "";
  // "Will only work if `contact` and `email` are also prefilled."
  if (method !== null && !at(`tab-${method}`).hidden && contact !== "" && email !== "") {
    methods.select(at(`tab-${method}`));
  }
}

/** "If the country code is not specified, `91` will be used." */
function withCountry(contact) {
  const trimmed = contact.trim();
  return trimmed === "" || trimmed.startsWith("+") ? trimmed : `+91${trimmed}`;
}

/** Show next to each field what is wrong with it, and focus the first. */
function accepts(problems) {
  let first = null;
  for (const [id, problem] of Object.entries(problems)) {
    const field = tell(id, problem);
    if (problem !== "") {
      first ??= field;
    }
  }
  const count = Object.values(problems).filter((problem) => problem !== "").length;
  at("status").textContent = count === 0 ? "" : `${count === 1 ? "One field needs" : `${count} fields need`} attention.`;
  first?.focus();
  return first === null;
}

/** Show next to a field what is wrong with it, if anything; return the field. */
function tell(id, problem) {
  const told = at(`${id}-error`);
  told.textContent = problem;
  told.hidden = problem === "";
  if (id in CHOICES) {
    return at(CHOICES[id]).querySelector("input"); // a group of buttons: focus the first
  }
  at(id).setAttribute("aria-invalid", String(problem !== ""));
  return at(id);
}

/** Clear a field's error as soon as it is valid; never show a new one while the customer is typing. */
document.addEventListener("input", ({ target }) => {
  const id = target.name in CHOICES ? target.name : target.id;
  const problems = screen === "otp" ? otpProblems() : screen === "methods" ? problemsOf(methods.selected().dataset.method) : {};
  if (id in problems && problems[id] === "") {
    tell(id, "");
    at("status").textContent = "";
  }
});

const cardDigits = () => at("card-number").value.replace(/\D/g, "");
/** The choice among buttons. */
const CHOICES = { bank: "banks", app: "apps" };
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`);
/** How the customer is about to pay by UPI; null while they have not chosen yet. */
const flow = () => (flows.length === 1 ? flows[0] : (chosen("app")?.dataset.flow ?? null));
const needsApp = () => flows.includes("intent") && chosen("app") === null;
const otpProblems = () => ({ "otp-code": validity.otpProblem(at("otp-code").value.trim()) });

function problemsOf(method) {
  const contact = {
    contact: validity.contactProblem(at("contact").value),
    email: validity.emailProblem(at("email").value),
  };
  switch (method) {
    case "card":
      return {
        ...contact,
        "card-number": validity.cardNumberProblem(cardDigits()),
        "card-expiry": validity.expiryProblem(at("card-expiry").value, new Date()),
        "card-cvv": validity.cvvProblem(at("card-cvv").value, cardDigits()),
        "card-name": validity.nameProblem(at("card-name").value),
      };
    case "upi":
      return {
        ...contact,
        app: needsApp() ? "Choose an app." : "",
        vpa: flow() === "collect" ? validity.vpaProblem(at("vpa").value.trim()) : "",
      };
    default:
      return { ...contact, bank: chosen("bank") === null ? "Choose a bank." : "" };
  }
}

at("pay-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { method } = methods.selected().dataset;
  if (!accepts(problemsOf(method))) {
    return;
  }
  press = {
    method,
    contact: withCountry(at("contact").value).replace(/[\s-]/g, ""),
    ...(at("email").value === "" ? {} : { email: at("email").value }),
  };
  switch (method) {
    case "card":
      press.card = cardDigits();
      press.name = at("card-name").value.trim();
      at("otp-hint").textContent = hintFor(press.card);
      at("otp-card").textContent = `For the ${networkOf(press.card) || "card"} ending in ${press.card.slice(-4)}.`;
      at("otp-code").value = "";
      accepts({ "otp-code": "" });
      show("otp");
      at("otp-code").focus();
      break;
    case "upi":
      if (flow() === "collect") {
        press.vpa = at("vpa").value.trim();
        pay(at("upi-late").checked ? { outcome: "late" } : {});
      } else {
        press.flow = "intent";
        pay({ outcome: "open" });
      }
      break;
    default:
      press.bank = chosen("bank").value;
      at("bank-page-title").textContent = `${chosen("bank").dataset.name}: mock bank page`;
      show("bank-page");
  }
});

at("otp-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (accepts(otpProblems())) {
    pay({ otp: at("otp-code").value.trim() });
  }
});

for (const button of document.querySelectorAll("[data-outcome]")) {
  button.addEventListener("click", () => pay({ outcome: button.dataset.outcome }));
}
for (const button of document.querySelectorAll("[data-back]")) {
  button.addEventListener("click", () => show("methods"));
}

for (const button of document.querySelectorAll("[data-answer]")) {
  button.addEventListener("click", () => answerInTheApp(button.dataset.answer));
}

// --- paying ---

function pay(how) {
  const { description, notes } = options;
  return settle("/v1/checkout/payments", {
    order_id: options.orderId,
    ...press,
    ...how,
    notes,
    ...(description === "" ? {} : { description }),
  });
}

/** What the customer did in their UPI app. */
function answerInTheApp(outcome) {
  return settle(`/v1/checkout/payments/${underWay}/finish`, { outcome });
}

async function settle(path, document) {
  show("processing");
  const request = fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key_id: options.key, ...document }),
  });
  const { error, ...response } = await answer(request);
  if (response.status === "created") {
    waitForTheApp(response.payment_id);
  } else if (error === undefined) {
    tellMerchant({ type: "paid", response });
  } else if (error.metadata?.payment_id === undefined) {
    // There is no payment: the order accepts none, or the request was refused. The docs do not say that
    // payment.failed reports those, so the page is told nothing until the dismissal.
    refuse(error);
  } else {
    fail(error, document.outcome === "late");
  }
}

/** The payment is in the customer's app now and continues there whatever happens to this window. */
function waitForTheApp(paymentId) {
  underWay = paymentId;
  const scans = flow() === "qr";
  at("app-title").textContent = scans ? "Scan with any UPI app" : `Approve in ${chosen("app").dataset.name}`;
  at("app-qr").replaceChildren(...(scans ? [qrPicture(paymentId)] : []));
  show("app");
}

function fail(error, isLate) {
  at("failed-description").textContent = error.description;
  at("failed-reason").textContent = error.reason;
  at("failed-payment").textContent = error.metadata.payment_id;
  at("failed-order").textContent = error.metadata.order_id;
  at("failed-late").hidden = !isLate;
  at("failed-late").textContent = isLate
    ? `In about ${order.late_after_s} seconds the bank answers after all, and this payment is authorised under the same id.`
    : "";
  show("failed");
  tellMerchant({ type: "failed", error });
}

at("retry").addEventListener("click", () => show("methods"));
at("give-up").addEventListener("click", () => tellMerchant({ type: "dismissed" })); // an explicit choice, so do not ask again

// --- leaving ---

const canLeave = () => options !== null;
let before = "methods";

/** The customer wants to leave: ask for confirmation if the merchant wants that and there is something left to pay. */
function leave() {
  if (options.modal.confirmClose && screen !== "confirm" && screen !== "refused") {
    before = screen;
    at("confirm-explained").textContent =
      screen === "app"
        ? "The payment goes on in your UPI app. You can still approve it there."
        : "The order stays open. You can pay it later.";
    show("confirm");
    return;
  }
  tellMerchant({ type: "dismissed" });
}

function stay() {
  show(before);
}

function escape() {
  if (screen === "confirm") {
    stay();
  } else if (canLeave() && options.modal.escape) {
    leave();
  }
}

at("close").addEventListener("click", () => (screen === "confirm" ? stay() : leave()));
at("leave").addEventListener("click", leave);
at("stay").addEventListener("click", stay);
at("confirm-leave").addEventListener("click", leave);
at("backdrop").addEventListener("click", () => {
  if (canLeave() && options.modal.backdropclose && screen !== "confirm") {
    leave();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.preventDefault();
    escape();
  }
});

// --- what the form offers ---

function offerCards() {
  // December of the year after next: "any future date".
  const expiry = `12/${String((new Date().getFullYear() + 2) % 100).padStart(2, "0")}`;
  for (const [where, cards] of Object.entries({ ...TEST_CARDS, error: ERROR_CARDS })) {
    for (const { network, number, reason } of cards) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.textContent = reason === undefined ? `${network} …${number.slice(-4)}` : reason.replaceAll("_", " ");
      button.addEventListener("click", () => {
        at("card-number").value = grouped(number);
        at("card-expiry").value = expiry;
        at("card-cvv").value = network === "Amex" ? "1234" : "123";
        at("card-name").value ||= "Gaurav Kumar";
        showNetwork();
        accepts({ "card-number": "", "card-expiry": "", "card-cvv": "", "card-name": "" });
        at("card-number").scrollIntoView({ block: "center" });
        at("status").textContent = `The ${network} card ending in ${number.slice(-4)} is filled in.`;
      });
      at(`${where}-cards`).append(button);
    }
  }
}

function offerBanks() {
  at("banks").replaceChildren(...BANKS.map(({ code, name }) => choice("bank", code, name)));
}

function offerApps() {
  const apps = UPI_APPS.map(({ code, name }) => choice("app", code, name));
  if (flows.includes("collect")) {
    apps.push(choice("app", "collect", "With a UPI ID"));
  }
  for (const label of apps) {
    const radio = label.querySelector("input");
    radio.dataset.flow = radio.value === "collect" ? "collect" : "intent";
    radio.addEventListener("change", showFlow);
  }
  at("apps").replaceChildren(...apps);
}

function showFlow() {
  at("upi-collect").hidden = flow() !== "collect";
}

function choice(group, value, name) {
  const label = document.createElement("label");
  label.className = "choice";
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = group;
  radio.value = value;
  radio.dataset.name = name;
  const text = document.createElement("span");
  text.textContent = name;
  label.append(radio, text);
  return label;
}

/** A card for an error scenario decides how the payment fails, the password whether it does. */
function hintFor(digits) {
  const reason = ERROR_CARDS.find(({ number }) => number === digits)?.reason;
  return reason === undefined
    ? "Test mode: any 4 to 10 digits succeed, fewer fail."
    : `Test mode: fewer than 4 digits, and this card fails with ${reason}; 4 to 10 succeed.`;
}

function showNetwork() {
  at("card-network").textContent = networkOf(cardDigits());
}

at("card-number").addEventListener("input", (event) => {
  const field = event.target;
  // Regroup only while typing at the end: elsewhere that would move the cursor.
  if (field.selectionStart === field.value.length && !event.inputType?.startsWith("delete")) {
    field.value = grouped(cardDigits());
  }
  showNetwork();
});
at("card-expiry").addEventListener("input", (event) => {
  const field = event.target;
  if (/^[0-9]{3,4}$/.test(field.value)) {
    field.value = `${field.value.slice(0, 2)}/${field.value.slice(2)}`;
  }
});
for (const button of document.querySelectorAll("[data-vpa]")) {
  button.addEventListener("click", () => {
    at("vpa").value = button.dataset.vpa;
    accepts({ vpa: "" });
    at("status").textContent = `${button.dataset.vpa} is filled in.`;
  });
}

offerCards();
offerBanks();
if (window.parent === window || !/^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?$/.test(MERCHANT)) {
  at("alone").hidden = false;
} else {
  tellMerchant({ type: "ready" });
}
