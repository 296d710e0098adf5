/**
 * Razorpay Checkout as one promise per opening.
 *
 * @module
 */

import { PaymentProblem } from "./payments.js";

/**
 * @import { Order, Paid } from "./payments.js"
 *
 * @typedef {{code: string, description: string, reason: string}} Failure Why an attempt failed, in Razorpay's words.
 * @typedef {{[option: string]: unknown, handler?: (paid: Paid) => void, modal?: object}} Options Razorpay's.
 * @typedef {{open(): void, on(event: "payment.failed", heard: (answer: {error: Failure}) => void): void}} Checkout
 * @typedef {Window & typeof globalThis & {Razorpay: new (options: Options) => Checkout}} Page With Razorpay's script.
 */

/** @type {Map<string, Promise<void>>} */
const loading = new Map();

/**
 * Load the script once; after a failure the next call retries.
 *
 * @param {string} url Razorpay's own is https://checkout.razorpay.com/v1/checkout.js. Never a copy: it changes.
 * @returns {Promise<void>}
 */
export function loadCheckout(url) {
  let loaded = loading.get(url);
  if (loaded === undefined) {
    loaded = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url;
      script.addEventListener("load", () => resolve());
      script.addEventListener("error", () => {
        script.remove();
        loading.delete(url);
        reject(new PaymentProblem({ code: "checkout_unavailable" }));
      });
      document.head.append(script);
    });
    loading.set(url, loaded);
  }
  return loaded;
}

/**
 * Return Razorpay's options for an order from create-order.
 *
 * @param {Pick<Order, "key_id" | "order_id" | "amount" | "currency">} order
 * @param {{name: string, description?: string, prefill?: object, notes?: object}} shown What the customer sees in Checkout.
 * @returns {Options}
 */
export function optionsFor(order, shown) {
  return {
    ...shown,
    key: order.key_id,
    order_id: order.order_id,
    amount: order.amount,
    currency: order.currency,
    config: { display: { hide: [{ method: "upi", flows: ["collect"] }] } },
    modal: { confirm_close: true },
  };
}

/**
 * Open Checkout for an order and wait until the customer has paid or closed it.
 *
 * After a failed attempt Checkout lets the customer try again on the same order. If they close it, the result has the
 * last attempt's reason.
 *
 * @param {Options} options Those of `optionsFor`; `handler` and `modal.ondismiss` are set here.
 * @param {(error: Failure) => void} [onFailure] Called for each failed attempt.
 * @returns {Promise<{paid: Paid} | {paid: null, failure: Failure | null}>} `paid` is for `verify`, unchanged.
 */
export function openCheckout(options, onFailure = () => {}) {
  return new Promise((resolve) => {
    /** @type {Failure | null} */
    let failure = null;
    const { Razorpay } = /** @type {Page} */ (window);
    const checkout = new Razorpay({
      ...options,
      handler: (paid) => resolve({ paid }),
      modal: { ...options.modal, ondismiss: () => resolve({ paid: null, failure }) },
    });
    checkout.on("payment.failed", ({ error }) => {
      failure = error;
      onFailure(error);
    });
    checkout.open();
  });
}
