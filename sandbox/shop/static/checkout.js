/** Razorpay Checkout as one promise per opening. */

import { PaymentProblem } from "./payments.js";

const loading = new Map();

/**
 * Load the script once; after a failure the next call retries.
 *
 * @param {string} url Razorpay's own is https://checkout.razorpay.com/v1/checkout.js. Never a copy: it changes.
 * @returns {Promise<void>}
 */
export function loadCheckout(url) {
  if (!loading.has(url)) {
    const loaded = new Promise((resolve, reject) => {
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
  return loading.get(url);
}

/**
 * Return Razorpay's options for an order from create-order.
 *
 * @param {{key_id: string, order_id: string, amount: number, currency: string}} order
 * @param {{name: string, description?: string, prefill?: object, notes?: object}} shown What the customer sees in Checkout.
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
 * @param {object} options Razorpay's, without handler and modal.ondismiss.
 * @param {(error: {code: string, description: string, reason: string}) => void} [onFailure] Called for each failed attempt.
 * @returns {Promise<{paid: object} | {paid: null, failure: object | null}>} `paid` is for `verify`, unchanged.
 */
export function openCheckout(options, onFailure = () => {}) {
  return new Promise((resolve) => {
    let failure = null;
    const checkout = new window.Razorpay({
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
