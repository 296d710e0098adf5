/**
 * Format an amount for the customer.
 *
 * @param {number} minor in the currency's smallest unit
 * @param {string} currency such as INR
 * @param {number} exponent the currency's number of decimals at Razorpay, which may differ from the browser's
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
