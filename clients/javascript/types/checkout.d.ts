/**
 * Load the script once; after a failure the next call retries.
 *
 * @param {string} url Razorpay's own is https://checkout.razorpay.com/v1/checkout.js. Never a copy: it changes.
 * @returns {Promise<void>}
 */
export function loadCheckout(url: string): Promise<void>;
/**
 * Return Razorpay's options for an order from create-order.
 *
 * @param {Pick<Order, "key_id" | "order_id" | "amount" | "currency">} order
 * @param {{name: string, description?: string, prefill?: object, notes?: object}} shown What the customer sees in Checkout.
 * @returns {Options}
 */
export function optionsFor(order: Pick<Order, "key_id" | "order_id" | "amount" | "currency">, shown: {
    name: string;
    description?: string;
    prefill?: object;
    notes?: object;
}): Options;
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
export function openCheckout(options: Options, onFailure?: (error: Failure) => void): Promise<{
    paid: Paid;
} | {
    paid: null;
    failure: Failure | null;
}>;
/**
 * Why an attempt failed, in Razorpay's words.
 */
export type Failure = {
    code: string;
    description: string;
    reason: string;
};
/**
 * Razorpay's.
 */
export type Options = {
    [option: string]: unknown;
    handler?: (paid: Paid) => void;
    modal?: object;
};
export type Checkout = {
    open(): void;
    on(event: "payment.failed", heard: (answer: {
        error: Failure;
    }) => void): void;
};
/**
 * With Razorpay's script.
 */
export type Page = Window & typeof globalThis & {
    Razorpay: new (options: Options) => Checkout;
};
import type { Order } from "./payments.js";
import type { Paid } from "./payments.js";
