/** What a browser has and Node.js does not, and a payment service that answers as it is told. */

import { mock } from "node:test";

export const ORDER = {
  order_id: "order_DESlLckIVRkHWj",
  amount: 49950,
  currency: "INR",
  status: "created",
  payment_id: 1,
  key_id: "rzp_test_LocalSandbox01",
};
export const PAID = {
  razorpay_order_id: "order_DESlLckIVRkHWj",
  razorpay_payment_id: "pay_DESlLckIVRkHWk",
  razorpay_signature: "9ef4dffbfd84f1318f6739a3ce19f9d85851857ae648f114332d8401e0949a3d",
};

/**
 * Replace `fetch` and `setTimeout`.
 *
 * @param {(request: {method: string, url: string, headers: object, body?: object}) => unknown} respond A Response, or
 *   any other body of an answer; what it throws, `fetch` throws.
 * @returns {{requests: object[], waits: number[]}} What was requested, and the seconds that passed in between.
 */
export function answering(respond) {
  const seen = { requests: [], waits: [] };
  mock.method(globalThis, "fetch", async (url, { method, headers = {}, body, signal }) => {
    const request = { method, url, headers, ...(body === undefined ? {} : { body: JSON.parse(body) }) };
    seen.requests.push(request);
    signal?.throwIfAborted();
    const answer = await respond(request);
    return answer instanceof Response ? answer : Response.json(answer);
  });
  mock.method(globalThis, "setTimeout", (call, ms) => {
    seen.waits.push(ms / 1000);
    queueMicrotask(call);
  });
  return seen;
}

/** Return an error answer of the service, which has the type of RFC 9457. */
export function problem(document, headers = {}) {
  return Response.json(document, {
    status: document.status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

/**
 * Put a page in place whose scripts load, or fail to, and define `Razorpay`.
 *
 * @param {(options: object, fail: (error: object) => void) => void} play What the customer does once Checkout is open.
 * @param {string[]} [results] The event of each script in turn; the last one is repeated.
 * @returns {{scripts: string[]}} The addresses that were loaded.
 */
export function page(play, results = ["load"]) {
  const seen = { scripts: [] };
  globalThis.document = {
    createElement: () => Object.assign(new EventTarget(), { remove: () => {} }),
    head: {
      append: (script) => {
        seen.scripts.push(script.src);
        const result = results[Math.min(seen.scripts.length, results.length) - 1];
        queueMicrotask(() => script.dispatchEvent(new Event(result)));
      },
    },
  };
  globalThis.window = {
    Razorpay: class {
      #options;
      #heard = {};
      constructor(options) {
        this.#options = options;
      }
      on(event, heard) {
        this.#heard[event] = heard;
      }
      open() {
        play(this.#options, (error) => this.#heard["payment.failed"]({ error }));
      }
    },
  };
  return seen;
}
