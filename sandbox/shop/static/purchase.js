/**
 * One proposal being paid, from the click to the confirmation.
 *
 * What it shows comes from GET /api/payments/{order_id}/ alone, never from what Checkout said in this browser: that is
 * lost when the tab closes, and anyone can call a JavaScript function. Only `confirmed` is money.
 */

import { messageFor } from "./messages.js";
import { PaymentProblem, seconds } from "./payments.js";

// Webhooks land within seconds. After a while the answer is not coming soon, and each question costs something.
const WAITS_S = [0.5, 0.5, 1, 1, 2, 3, 5];
const LONGEST_WAIT_S = 15;
const WATCH_FOR_S = 15 * 60; // by then the service itself has asked Razorpay about a payment that it knows of
/** Stages that say everything there is to say, whatever was expected before. */
const SETTLED = new Set(["review", "confirmed", "refunded"]);

export class Purchase {
  #offer;
  #payments;
  #checkout;
  #remember;
  #show;
  #busy = false;
  #watching = null;

  /**
   * @param {object} given
   * @param {object} given.offer What create-order takes.
   * @param {import("./payments.js").Payments} given.payments
   * @param {(order: object, onFailure: (error: object) => void) => Promise<object>} given.checkout Loads and opens
   *   Checkout for an order; resolves as `openCheckout` does.
   * @param {(orderId: string | null) => void} given.remember Keeps the order's id over a reload.
   * @param {(state: object) => void} given.show Draws `{stage, payment?, orderId?, failure?, message?, slow?}`; stages:
   *   "offered", "ordering", "checkout", "verifying", "waiting", "open", "review", "confirmed", "refunded", "stopped".
   */
  constructor({ offer, payments, checkout, remember, show }) {
    this.#offer = offer;
    this.#payments = payments;
    this.#checkout = checkout;
    this.#remember = remember;
    this.#show = show;
  }

  /** The click. A second one while the first is at work does nothing; the service would hand out the same order. */
  async start() {
    if (this.#busy) {
      return;
    }
    this.#busy = true;
    this.#stopWatching();
    try {
      this.#show({ stage: "ordering" });
      const order = await this.#payments.createOrder(this.#offer);
      this.#remember(order.order_id);
      if (order.status === "paid" || order.status === "authorized") {
        // Somebody paid and did not come back to this page, or came back to another tab.
        this.#watch(order.order_id, { expected: true });
        return;
      }
      this.#show({ stage: "checkout" });
      const { paid, failure } = await this.#checkout(order, (error) => this.#show({ stage: "checkout", failure: error }));
      const message = paid ? await this.#verify(paid) : null;
      this.#watch(order.order_id, { expected: Boolean(paid) && !message?.over, failure, message });
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.#busy = false;
    }
  }

  /** After a reload: goes on with the order that was remembered. */
  resume(orderId) {
    this.#watch(orderId, {});
  }

  async #verify(paid) {
    this.#show({ stage: "verifying" });
    try {
      await this.#payments.verify(paid);
      return null;
    } catch (problem) {
      // The customer has paid; whatever is wrong here, the webhook confirms it. So this is no failure, only no fast
      // feedback: watching goes on.
      return messageOf(problem);
    }
  }

  /** No order was handed out. Where that is about another one, it is the one to look at from now on. */
  #refused(problem) {
    if (!problem.orderId) {
      this.#stop(problem);
      return;
    }
    const message = messageOf(problem);
    this.#remember(problem.orderId);
    if (problem.code === "payment_under_review") {
      this.#show({ stage: "review", orderId: problem.orderId, message });
    } else {
      this.#watch(problem.orderId, { message });
    }
  }

  /** Follows the payment until it is settled. Also after a dismissal: the customer's bank app may still be at it. */
  async #watch(orderId, { expected = false, failure = null, message = null }) {
    this.#stopWatching();
    const watching = new AbortController();
    this.#watching = watching;
    const since = Date.now();
    for (let looks = 0; ; looks += 1) {
      const slow = Date.now() - since > WATCH_FOR_S * 1000;
      try {
        const payment = await this.#payments.get(orderId);
        if (watching.signal.aborted) {
          return;
        }
        const stage = stageOf(payment, expected);
        const worthSaying = message?.lasting || !SETTLED.has(stage);
        this.#show({ stage, payment, orderId, failure, message: worthSaying ? message : null, slow });
        if (slow || payment.confirmed || payment.status === "refunded") {
          return;
        }
      } catch (problem) {
        if (watching.signal.aborted) {
          return;
        }
        const trouble = messageOf(problem);
        if (slow || trouble.next !== "pay") {
          this.#stop(problem);
          return;
        }
        this.#show({ stage: "waiting", message: { ...trouble, text: `${trouble.text} Still looking.` } });
      }
      await seconds(WAITS_S[looks] ?? LONGEST_WAIT_S);
      if (watching.signal.aborted) {
        return;
      }
    }
  }

  #stopWatching() {
    this.#watching?.abort();
    this.#watching = null;
  }

  #stop(problem) {
    const message = messageOf(problem);
    if (problem.code === "order_not_found") {
      this.#remember(null);
    }
    this.#show({ stage: "stopped", message });
  }
}

/** What to tell the customer; a mistake of this page goes to the console, and to whoever watches errors. */
function messageOf(problem) {
  if (!(problem instanceof PaymentProblem)) {
    reportError(problem);
    return { text: "This page made a mistake. Reload it; nothing is lost.", next: "stop" };
  }
  return messageFor(problem);
}

/** @returns {string} The stage to show for a payment; `expected` when Checkout said in this browser that it was paid. */
function stageOf(payment, expected) {
  if (payment.status === "refunded") {
    return "refunded";
  }
  if (payment.under_review && payment.status !== "paid") {
    return "review"; // money was taken that is not as agreed: a person looks at it, and nobody must pay again
  }
  if (payment.confirmed) {
    return "confirmed";
  }
  if (payment.status === "paid" || payment.status === "authorized" || expected) {
    return "waiting";
  }
  return "open"; // created or failed: the same order can be paid, again and again
}
