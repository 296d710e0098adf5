/**
 * The purchase of one proposal, from the click to the confirmation.
 *
 * Everything it shows comes from GET /api/payments/{order_id}/, never from what Checkout reported in this browser: that
 * is lost when the tab closes, and anyone can call a JavaScript function. Only `confirmed` means money.
 */

import { PaymentProblem } from "../../../clients/javascript/src/payments.js";
import { messageAfterCheckout, messageFor, messageWhileLooking } from "./messages.js";

// Webhooks arrive within seconds. After a while the answer is not coming soon, and every request costs something.
const WAITS_S = [0.5, 0.5, 1, 1, 2, 3, 5];
const LONGEST_WAIT_S = 15;
const WATCH_FOR_S = 15 * 60; // by then the service itself has asked Razorpay about a payment that it knows of
/** Stages that are final, whatever was expected before. */
const SETTLED = new Set(["review", "confirmed", "refunded"]);
/** The `next` values of messages for which looking again may help. */
const PASSES = new Set(["pay", "wait"]);

export class Purchase {
  #offer;
  #quote;
  #payments;
  #checkout;
  #remember;
  #show;
  #busy = false;
  #watching = null;
  #closed = false;

  /**
   * @param {object} given
   * @param {object} given.offer What create-order takes.
   * @param {() => Promise<string>} [given.quote] Gets the platform's quote for the offer, anew for each order.
   * @param {import("../../../clients/javascript/src/payments.js").Payments} given.payments
   * @param {(order: object, onFailure: (error: object) => void) => Promise<object>} given.checkout Loads and opens
   *   Checkout for an order; resolves as `openCheckout` does.
   * @param {(orderId: string | null) => void} given.remember Keeps the order's id across a reload.
   * @param {(state: object) => void} given.show Draws `{stage, payment?, orderId?, failure?, message?, slow?, paid?}`;
   *   `describe` in words.js has the texts. Stages: "offered", "looking", "ordering", "checkout", "verifying", "waiting",
   *   "open", "review", "confirmed", "refunded", "stopped". `paid`: Checkout has reported a payment.
   */
  constructor({ offer, quote, payments, checkout, remember, show }) {
    this.#offer = offer;
    this.#quote = quote;
    this.#payments = payments;
    this.#checkout = checkout;
    this.#remember = remember;
    this.#show = show;
  }

  /** Handle the click. A second click meanwhile does nothing; the service would return the same order. */
  async start() {
    if (this.#busy) {
      return;
    }
    this.#busy = true;
    this.#stopWatching();
    try {
      this.#show({ stage: "ordering" });
      const order = await this.#payments.createOrder(await this.#quoted());
      this.#remember(order.order_id);
      if (order.status === "paid" || order.status === "authorized") {
        // Someone paid and did not come back to this page, or came back to another tab.
        this.#watch(order.order_id, { expected: true });
        return;
      }
      this.#show({ stage: "checkout" });
      const { paid, failure } = await this.#checkout(order, (error) => this.#show({ stage: "checkout", failure: error }));
      const message = paid ? await this.#verify(paid) : null;
      this.#watch(order.order_id, { expected: Boolean(paid) && !message?.over, failure: paid ? null : failure, message });
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.#busy = false;
    }
  }

  /** Continue with the remembered order after a reload. */
  resume(orderId) {
    this.#watch(orderId, {});
  }

  /** Stop all requests and updates, because the card is gone. */
  close() {
    this.#stopWatching();
    this.#closed = true;
    this.#show = () => {};
  }

  /** The offer with the platform's price for it. Without that the service takes the price from this page, or no order. */
  async #quoted() {
    if (!this.#quote) {
      return this.#offer;
    }
    try {
      return { ...this.#offer, quote: await this.#quote() };
    } catch (cause) {
      throw new PaymentProblem({ code: "unreachable", detail: `There is no quote: ${cause.message}` });
    }
  }

  async #verify(paid) {
    this.#show({ stage: "verifying" });
    try {
      await this.#payments.verify(paid);
      return null;
    } catch (problem) {
      // The customer has paid, and the webhook confirms it whatever is wrong here. So this is not a failure, only a
      // lack of fast feedback: keep watching.
      return messageOf(problem, messageAfterCheckout);
    }
  }

  /** No order was handed out. If the refusal names another order, watch that one from now on. */
  #refused(problem) {
    if (!problem.orderId) {
      this.#stop(problem);
      return;
    }
    this.#remember(problem.orderId);
    this.#watch(problem.orderId, { message: messageOf(problem), review: problem.code === "payment_under_review" });
  }

  /**
   * Watch the payment until its state is final. Also after a dismissal: the customer's bank app may still be paying.
   *
   * `expected`: Checkout reported a payment. `review`: the service says that the application is under review,
   * whatever this order's own state. `message` is shown until the payment's status changes.
   */
  async #watch(orderId, { expected = false, review = false, failure = null, message = null }) {
    this.#stopWatching();
    if (this.#closed) {
      return;
    }
    const watching = new AbortController();
    this.#watching = watching;
    const since = Date.now();
    const first = review ? "review" : expected ? "waiting" : "looking";
    let last = { stage: first, orderId, failure, message, paid: expected };
    this.#show(last);
    for (let looks = 0; ; looks += 1) {
      const slow = Date.now() - since > WATCH_FOR_S * 1000;
      try {
        const payment = await this.#payments.get(orderId);
        if (watching.signal.aborted) {
          return;
        }
        const stage = stageOf(payment, { expected, review });
        const moved = last.payment !== undefined && last.payment.status !== payment.status;
        if (!message?.lasting && (moved || SETTLED.has(stage))) {
          message = null; // it is out of date
        }
        last = { stage, payment, orderId, failure, message, slow, paid: expected };
        this.#show(last);
        if (slow || payment.confirmed || payment.status === "refunded") {
          return;
        }
      } catch (problem) {
        if (watching.signal.aborted) {
          return;
        }
        if (slow || !(problem instanceof PaymentProblem) || !PASSES.has(messageFor(problem).next) || isUnknown(problem)) {
          this.#stop(problem, expected);
          return;
        }
        this.#show({ ...last, message: messageWhileLooking(problem) });
      }
      await new Promise((resolve) => setTimeout(resolve, (WAITS_S[looks] ?? LONGEST_WAIT_S) * 1000));
      if (watching.signal.aborted) {
        return;
      }
    }
  }

  #stopWatching() {
    this.#watching?.abort();
    this.#watching = null;
  }

  #stop(problem, paid = false) {
    if (isUnknown(problem)) {
      this.#remember(null);
    }
    this.#show({ stage: "stopped", message: messageOf(problem), paid });
  }
}

const isUnknown = (problem) => problem.code === "order_not_found";

/** What to tell the customer. A bug in this page is reported to the console and to error monitoring. */
function messageOf(problem, inWords = messageFor) {
  if (!(problem instanceof PaymentProblem)) {
    reportError(problem);
    return { text: "This page made a mistake. Reload it; nothing is lost.", next: "stop" };
  }
  return inWords(problem);
}

/** @returns {string} The stage to show for a payment; the options are those of `#watch`. */
function stageOf(payment, { expected, review }) {
  if (payment.status === "refunded") {
    return "refunded";
  }
  if (payment.under_review && payment.status !== "paid") {
    return "review"; // money was taken that is not as agreed: a person must look, and nobody must pay again
  }
  if (payment.confirmed) {
    return "confirmed";
  }
  if (payment.status === "paid" || payment.status === "authorized" || expected) {
    return "waiting";
  }
  return review ? "review" : "open"; // created or failed: the same order can still be paid
}
