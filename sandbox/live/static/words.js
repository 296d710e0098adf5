/** Amounts and times for people. */

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/**
 * @param {number} amount in minor units, of a currency with two decimals
 * @param {string} currency
 * @returns {string}
 */
export function money(amount, currency) {
  return new Intl.NumberFormat("en-IN", { style: "currency", currency }).format(amount / 100);
}

/**
 * Format a time of day, to the second: not every source is more precise.
 *
 * @param {number} at Unix seconds
 * @returns {string}
 */
export function time(at) {
  return clock.format(new Date(at * 1000));
}

/**
 * Format the same with milliseconds, for tooltips.
 *
 * @param {number} at Unix seconds
 * @returns {string}
 */
export function exactTime(at) {
  return `${time(at)}.${String(new Date(at * 1000).getMilliseconds()).padStart(3, "0")}`;
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/**
 * Return a payment's status in words, and its appearance.
 *
 * @param {{status: string, confirmed: boolean, under_review: boolean, amount_disputed: number}} payment
 * @returns {{words: string, tone: string, icon: string}}
 */
export function statusOf(payment) {
  switch (payment.status) {
    case "paid":
      return payment.confirmed
        ? { words: "Paid, confirmed", tone: "ok", icon: "good" }
        : { words: "Paid, not confirmed yet", tone: "busy", icon: "wait" };
    case "failed":
      return { words: "Failed", tone: "bad", icon: "bad" };
    case "refunded":
      return payment.amount_disputed > 0
        ? { words: "Lost in a dispute", tone: "warn", icon: payment.under_review ? "look" : "plain" }
        : { words: "Refunded", tone: "neutral", icon: "good" };
    case "authorized":
      // Money was captured that is not as agreed: more than an authorization, but not yet a payment.
      return payment.under_review
        ? { words: "Being checked", tone: "warn", icon: "look" }
        : { words: "Authorised", tone: "busy", icon: "wait" };
    case "created":
      return { words: "Created", tone: "neutral", icon: "plain" };
    default:
      return { words: "Unknown order", tone: "warn", icon: "look" };
  }
}
