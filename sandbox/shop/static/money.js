/**
 * Format an amount for people.
 *
 * @param {number} minor Integer minor units of the currency (paise for INR), as in every answer of the service.
 * @param {string} currency ISO 4217.
 * @returns {string} Such as "₹2,500.00".
 */
export function inWords(minor, currency) {
  const format = new Intl.NumberFormat("en-IN", { style: "currency", currency });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}
