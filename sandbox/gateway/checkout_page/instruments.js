/**
 * The payment methods of test mode.
 *
 * The cards and IDs are Razorpay's documented ones (payments/payments/test-card-details.md; test IDs of UPI in
 * payment-gateway/web-integration/standard/integration-steps.md, "Test Integration"). The docs ask for any future date
 * and a random CVV. Cards for subscriptions and EMI are left out, because the stand-in does not support them.
 */
export const TEST_CARDS = {
  indian: [
    { network: "Visa", number: "4100280000001007" },
    { network: "Mastercard", number: "5500670000001002" },
    { network: "RuPay", number: "6527658900001005" },
    { network: "Diners", number: "36082800091007" },
    { network: "Amex", number: "340256000401007" },
  ],
  international: [
    { network: "Visa", number: "4012888888881881" },
    { network: "Mastercard", number: "5555555555554444" },
    { network: "Mastercard", number: "5105105105105100" },
    { network: "Mastercard", number: "5104060000000008" },
  ],
};

/** One card for each error scenario of the same page: how it fails once the one-time password makes it fail. */
export const ERROR_CARDS = [
  { network: "Visa", number: "4100280000080001", reason: "insufficient_fund" },
  { network: "Visa", number: "4100280000060003", reason: "card_declined" },
  { network: "Visa", number: "4100280000030006", reason: "card_disabled_for_online_payments" },
  { network: "Visa", number: "4100280000010008", reason: "card_number_invalid" },
  { network: "Visa", number: "4100280000070002", reason: "payment_cancelled" },
  { network: "Visa", number: "4100280000090000", reason: "payment_timed_out" },
  { network: "Visa", number: "4100280000000009", reason: "authentication_failed" },
  { network: "Visa", number: "4100280000020007", reason: "gateway_technical_error" },
];

/** Apps that a phone might have. The choice makes no difference to the payment. */
export const UPI_APPS = [
  { code: "google_pay", name: "Google Pay" },
  { code: "phonepe", name: "PhonePe" },
  { code: "paytm", name: "Paytm" },
  { code: "bhim", name: "BHIM" },
];

/** Some of the banks of payments/payment-methods/netbanking.md, by its codes. */
export const BANKS = [
  { code: "HDFC", name: "HDFC Bank" },
  { code: "ICIC", name: "ICICI Bank" },
  { code: "SBIN", name: "State Bank of India" },
  { code: "UTIB", name: "Axis Bank" },
  { code: "KKBK", name: "Kotak Mahindra Bank" },
  { code: "BARB_R", name: "Bank of Baroda" },
  { code: "PUNB_R", name: "Punjab National Bank" },
  { code: "YESB", name: "Yes Bank" },
];

const NETWORKS = [
  [/^36/, "Diners"],
  [/^3[47]/, "Amex"],
  [/^4/, "Visa"],
  [/^(5[1-5]|2[2-7])/, "Mastercard"],
  [/^6/, "RuPay"],
];

/**
 * @param {string} digits of a card number, perhaps not all of them yet
 * @returns {string} the network's name, or "" while it is unknown
 */
export function networkOf(digits) {
  return NETWORKS.find(([beginning]) => beginning.test(digits))?.[1] ?? "";
}

/**
 * Group a card number as it is printed on the card.
 *
 * @param {string} digits
 * @returns {string}
 */
export function grouped(digits) {
  const groups = /^3[467]/.test(digits) ? [4, 6, 5] : [4, 4, 4, 4, 3];
  const parts = [];
  let rest = digits;
  for (const length of groups) {
    if (rest !== "") {
      parts.push(rest.slice(0, length));
      rest = rest.slice(length);
    }
  }
  return parts.join(" ");
}
