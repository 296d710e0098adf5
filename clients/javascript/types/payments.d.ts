/** An error answer of the service; `code` is `unreachable` if there was no usable answer. */
export class PaymentProblem extends Error {
    /**
     * @param {Partial<Omit<Bodies["Problem"], "code">> & {code: Code, retryAfterS?: number}} problem
     */
    constructor({ code, status, detail, request_id, order_id, errors, retryAfterS }: Partial<Omit<Bodies["Problem"], "code">> & {
        code: Code;
        retryAfterS?: number;
    });
    code: Code;
    /** The HTTP status; undefined if there was no usable answer. */
    status: number | undefined;
    /** For support. */
    requestId: string | undefined;
    /** The order that a conflict is about. */
    orderId: string | undefined;
    /** What is wrong in which field, with `invalid_request`. */
    errors: {
        field: string;
        message: string;
    }[];
    retryAfterS: number | undefined;
}
export class Payments {
    /**
     * @param {object} given
     * @param {string} given.api The part before /api/payments/. With API Gateway's own address it includes the stage
     *   (https://….execute-api.ap-south-1.amazonaws.com/production), with a custom domain it is https://payments.example.com.
     * @param {(options?: {fresh: boolean}) => Promise<string>} given.token The user's access token; `fresh` requests a new
     *   one, because the last one was refused.
     * @param {(call: {method: string, path: string, result: string}) => void} [given.note] Called with every answer.
     */
    constructor({ api, token, note }: {
        api: string;
        token: (options?: {
            fresh: boolean;
        }) => Promise<string>;
        note?: ((call: {
            method: string;
            path: string;
            result: string;
        }) => void) | undefined;
    });
    /**
     * Create an order to pay in Checkout, or get the open one for the same purchase.
     *
     * @param {Offer} offer
     * @returns {Promise<Order>}
     */
    createOrder(offer: Offer): Promise<Order>;
    /**
     * Send the service what Checkout returned, for fast feedback.
     *
     * @param {Paid} checkout Unchanged; the service ignores other fields that Checkout adds.
     * @returns {Promise<Verified>}
     */
    verify(checkout: Paid): Promise<Verified>;
    /**
     * Get the payment from the service, which alone decides whether it is paid.
     *
     * @param {string} orderId
     * @returns {Promise<Payment>}
     */
    get(orderId: string): Promise<Payment>;
    /**
     * Get a page of the caller's own payments, newest first.
     *
     * @param {{role: "client" | "freelancer", cursor?: string | null}} page As what the caller takes part in them;
     *   `cursor` is `next_cursor` of the page before, and left out for the first one.
     * @returns {Promise<PageOfPayments>}
     */
    list({ role, cursor }: {
        role: "client" | "freelancer";
        cursor?: string | null;
    }): Promise<PageOfPayments>;
    /**
     * Get the current order of the caller's application, and the orders that it replaced.
     *
     * @param {number} applicationId
     * @returns {Promise<PaymentsOfApplication>} `order_not_found` if the caller has never created an order for it.
     */
    ofApplication(applicationId: number): Promise<PaymentsOfApplication>;
    #private;
}
export type Bodies = components["schemas"];
/**
 * `amount` in major units (rupees), as a
 *  decimal string: a float would lose paise. `quote` is the platform's signed price for exactly this order.
 */
export type Offer = Omit<Bodies["CreateOrder"], "amount"> & {
    amount: string;
};
/**
 * `amount` in minor units (paise).
 */
export type Order = Bodies["Order"];
/**
 * What Checkout returns, and `verify` takes.
 */
export type Paid = Bodies["Verify"];
export type Verified = Bodies["Verified"];
/**
 * Amounts in minor units (paise).
 */
export type Payment = Bodies["Payment"];
export type PageOfPayments = Bodies["Payments"];
export type PaymentsOfApplication = Bodies["PaymentsOfApplication"];
/**
 * The service's, and two of this
 * client's own: no usable answer, and a Checkout that did not load. A newer service may have more.
 */
export type Code = Bodies["Problem"]["code"] | "unreachable" | "checkout_unavailable";
import type { components } from "../types/openapi.js";
