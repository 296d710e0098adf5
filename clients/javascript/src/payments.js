/**
 * A browser client for the payment service.
 *
 * All calls are safe to repeat: an open order is handed out again, and verifying twice gives the same answer. So
 * temporary failures are retried here. Any other failure is thrown as a PaymentProblem whose `code` says what to do.
 *
 * @module
 */

/**
 * @import { components } from "../types/openapi.js"
 *
 * @typedef {components["schemas"]} Bodies
 * @typedef {Omit<Bodies["CreateOrder"], "amount"> & {amount: string}} Offer `amount` in major units (rupees), as a
 *   decimal string: a float would lose paise. `quote` is the platform's signed price for exactly this order.
 * @typedef {Bodies["Order"]} Order `amount` in minor units (paise).
 * @typedef {Bodies["Verify"]} Paid What Checkout returns, and `verify` takes.
 * @typedef {Bodies["Verified"]} Verified
 * @typedef {Bodies["Payment"]} Payment Amounts in minor units (paise).
 * @typedef {Bodies["Payments"]} PageOfPayments
 * @typedef {Bodies["PaymentsOfApplication"]} PaymentsOfApplication
 * @typedef {Bodies["Problem"]["code"] | "unreachable" | "checkout_unavailable"} Code The service's, and two of this
 *   client's own: no usable answer, and a Checkout that did not load. A newer service may have more.
 */

// Longer than the service takes in the worst case (create-order: 20 s), shorter than API Gateway waits (29 s).
const TIMEOUT_MS = 25_000;
const MOST_TRIES = 3;
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 10;
/** @type {ReadonlySet<Code>} */
const PASSES_BY_ITSELF = new Set([
  "too_many_requests",
  "gateway_unavailable",
  "temporarily_unavailable",
  "internal_error",
  "unreachable",
]);

/** An error answer of the service; `code` is `unreachable` if there was no usable answer. */
export class PaymentProblem extends Error {
  /**
   * @param {Partial<Omit<Bodies["Problem"], "code">> & {code: Code, retryAfterS?: number}} problem
   */
  constructor({ code, status, detail, request_id, order_id, errors, retryAfterS }) {
    super(detail ?? code);
    this.name = "PaymentProblem";
    this.code = code;
    /** The HTTP status; undefined if there was no usable answer. */
    this.status = status;
    /** For support. */
    this.requestId = request_id;
    /** The order that a conflict is about. */
    this.orderId = order_id;
    /** What is wrong in which field, with `invalid_request`. */
    this.errors = errors ?? [];
    this.retryAfterS = retryAfterS;
  }
}

export class Payments {
  #api;
  #token;
  #note;

  /**
   * @param {object} given
   * @param {string} given.api The part before /api/payments/. With API Gateway's own address it includes the stage
   *   (https://….execute-api.ap-south-1.amazonaws.com/production), with a custom domain it is https://payments.example.com.
   * @param {(options?: {fresh: boolean}) => Promise<string>} given.token The user's access token; `fresh` requests a new
   *   one, because the last one was refused.
   * @param {(call: {method: string, path: string, result: string}) => void} [given.note] Called with every answer.
   */
  constructor({ api, token, note = () => {} }) {
    this.#api = api.replace(/\/+$/, ""); // the deployment's output `ApiUrl` ends with a slash
    this.#token = token;
    this.#note = note;
  }

  /**
   * Create an order to pay in Checkout, or get the open one for the same purchase.
   *
   * @param {Offer} offer
   * @returns {Promise<Order>}
   */
  createOrder(offer) {
    return this.#call("POST", "create-order/", offer);
  }

  /**
   * Send the service what Checkout returned, for fast feedback.
   *
   * @param {Paid} checkout Unchanged; the service ignores other fields that Checkout adds.
   * @returns {Promise<Verified>}
   */
  verify(checkout) {
    return this.#call("POST", "verify/", checkout);
  }

  /**
   * Get the payment from the service, which alone decides whether it is paid.
   *
   * @param {string} orderId
   * @returns {Promise<Payment>}
   */
  get(orderId) {
    return this.#call("GET", `${encodeURIComponent(orderId)}/`);
  }

  /**
   * Get a page of the caller's own payments, newest first.
   *
   * @param {{role: "client" | "freelancer", cursor?: string | null}} page As what the caller takes part in them;
   *   `cursor` is `next_cursor` of the page before, and left out for the first one.
   * @returns {Promise<PageOfPayments>}
   */
  list({ role, cursor }) {
    return this.#call("GET", `?${new URLSearchParams(cursor ? { role, cursor } : { role })}`);
  }

  /**
   * Get the current order of the caller's application, and the orders that it replaced.
   *
   * @param {number} applicationId
   * @returns {Promise<PaymentsOfApplication>} `order_not_found` if the caller has never created an order for it.
   */
  ofApplication(applicationId) {
    return this.#call("GET", `?${new URLSearchParams({ application_id: String(applicationId) })}`);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async #call(method, path, body) {
    let refreshed = false;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(method, path, body, { fresh: refreshed });
      } catch (problem) {
        if (!(problem instanceof PaymentProblem)) {
          throw problem;
        }
        if (problem.code === "unauthenticated" && !refreshed) {
          refreshed = true; // access tokens last for minutes, and this one expired while the page was open
        } else if (PASSES_BY_ITSELF.has(problem.code) && tries < MOST_TRIES) {
          await seconds(problem.retryAfterS ?? FIRST_WAIT_S * 2 ** (tries - 1));
        } else {
          throw problem;
        }
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object | undefined} body
   * @param {{fresh: boolean}} options
   */
  async #once(method, path, body, { fresh }) {
    const token = await this.#token({ fresh }).catch((cause) => {
      // The platform's identity service returned none: most likely the browser is offline.
      throw new PaymentProblem({ code: "unreachable", detail: `There is no access token: ${cause.message}` });
    });
    let answer;
    let document;
    try {
      answer = await fetch(`${this.#api}/api/payments/${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      document = await answer.json();
    } catch {
      // No answer, or not the service's: a proxy's page, or a connection cut off halfway.
      this.#note({ method, path, result: "no answer" });
      throw new PaymentProblem({ code: "unreachable", detail: "The payment service gave no answer." });
    }
    this.#note({ method, path, result: answer.ok ? String(answer.status) : `${answer.status} ${document?.code ?? "without a code"}` });
    if (answer.ok) {
      return document;
    }
    throw new PaymentProblem({
      code: "unreachable", // an error without a code is not the service's own
      ...document,
      retryAfterS: waitOf(answer),
    });
  }
}

/** @param {Response} answer */
function waitOf(answer) {
  const wait = Number(answer.headers.get("Retry-After"));
  return wait > 0 ? Math.min(wait, LONGEST_WAIT_S) : undefined;
}

/** @param {number} count */
function seconds(count) {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
