/**
 * A browser client for the payment service.
 *
 * All calls are safe to repeat: an open order is handed out again, and verifying twice gives the same answer. So
 * temporary failures are retried here. Any other failure is thrown as a PaymentProblem whose `code` says what to do.
 */

// Longer than the service takes in the worst case (create-order: 20 s), shorter than API Gateway waits (29 s).
const TIMEOUT_MS = 25_000;
const MOST_TRIES = 3;
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 10;
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
   * @param {{code: string, status?: number, detail?: string, request_id?: string, order_id?: string,
   *   errors?: object[], retryAfterS?: number}} problem
   */
  constructor({ code, status, detail, request_id, order_id, errors, retryAfterS }) {
    super(detail ?? code);
    this.name = "PaymentProblem";
    this.code = code;
    this.status = status;
    this.requestId = request_id;
    this.orderId = order_id; // the order that a conflict is about
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
   * @param {{job_id: number, application_id: number, client_id: number, freelancer_id: number, amount: string,
   *   quote?: string}} offer `amount` in major units (rupees), as a decimal string: a float would lose paise. `quote` is
   *   the platform's signed price for exactly this order.
   * @returns {Promise<{order_id: string, amount: number, currency: string, status: string, payment_id: number,
   *   key_id: string}>} `amount` in minor units (paise).
   */
  createOrder(offer) {
    return this.#call("POST", "create-order/", offer);
  }

  /**
   * Send the service what Checkout returned, for fast feedback.
   *
   * @param {{razorpay_order_id: string, razorpay_payment_id: string, razorpay_signature: string}} checkout Unchanged;
   *   the service ignores other fields that Checkout adds.
   */
  verify(checkout) {
    return this.#call("POST", "verify/", checkout);
  }

  /**
   * Get the payment from the service, which alone decides whether it is paid.
   *
   * @param {string} orderId
   * @returns {Promise<{order_id: string, status: string, confirmed: boolean, under_review: boolean, amount: number,
   *   amount_refunded: number, currency: string}>}
   */
  get(orderId) {
    return this.#call("GET", `${encodeURIComponent(orderId)}/`);
  }

  /**
   * Get a page of the caller's own payments, newest first.
   *
   * @param {{role: "client" | "freelancer", cursor?: string | null}} page As what the caller takes part in them;
   *   `cursor` is `next_cursor` of the page before, and left out for the first one.
   * @returns {Promise<{payments: object[], next_cursor: string | null}>} Each payment as `get` returns it.
   */
  list({ role, cursor }) {
    return this.#call("GET", `?${new URLSearchParams(cursor ? { role, cursor } : { role })}`);
  }

  /**
   * Get the current order of the caller's application, and the orders that it replaced.
   *
   * @param {number} applicationId
   * @returns {Promise<{current: object | null, earlier: object[]}>} Each payment as `get` returns it. `order_not_found` if
   *   the caller has never created an order for it.
   */
  ofApplication(applicationId) {
    return this.#call("GET", `?${new URLSearchParams({ application_id: applicationId })}`);
  }

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
    this.#note({ method, path, result: answer.ok ? String(answer.status) : `${answer.status} ${document.code}` });
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

function waitOf(answer) {
  const wait = Number(answer.headers.get("Retry-After"));
  return wait > 0 ? Math.min(wait, LONGEST_WAIT_S) : undefined;
}

/** @param {number} count */
export function seconds(count) {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}
