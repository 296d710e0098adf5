/**
 * An amount as the customer reads it.
 *
 * @param {number} minor in the currency's smallest unit
 * @param {string} currency such as INR
 * @param {number} exponent how many decimals the currency has at Razorpay, which the browser's own list may not share
 * @returns {string} such as ₹2,500.00
 */
export function money(minor, currency, exponent) {
  return new Intl.NumberFormat("en-IN", {
    style: "currency",
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  }).format(minor / 10 ** exponent);
}
