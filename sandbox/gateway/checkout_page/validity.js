/** Validate input: return what is wrong and what to do, or "" if it is valid. */

import { networkOf } from "./instruments.js";

const CVV_DIGITS = { Amex: 4 };

/** @param {string} text */
export function contactProblem(text) {
  const digits = text.replace(/[\s-]/g, "");
  if (digits === "") {
    return "Enter a phone number, such as +91 98765 43210.";
  }
  return /^\+?[0-9]{8,15}$/.test(digits) ? "" : "A phone number has 8 to 15 digits and may begin with +.";
}

/** @param {string} text */
export function emailProblem(text) {
  // Optional, as at Razorpay.
  return text === "" || /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(text) ? "" : "Enter an e-mail address such as name@example.com.";
}

/** @param {string} digits */
export function cardNumberProblem(digits) {
  if (digits === "") {
    return "Enter a card number, or choose a test card below.";
  }
  if (!/^[0-9]{13,19}$/.test(digits)) {
    return "A card number has 13 to 19 digits.";
  }
  return passesLuhn(digits) ? "" : "This is no card number; check it for a mistyped digit.";
}

/**
 * @param {string} text MM/YY
 * @param {Date} now
 */
export function expiryProblem(text, now) {
  const match = /^(0[1-9]|1[0-2])\s*\/\s*([0-9]{2})$/.exec(text);
  if (match === null) {
    return "Enter the expiry as MM/YY.";
  }
  // A card is valid until the end of its month.
  const ends = new Date(2000 + Number(match[2]), Number(match[1]), 1);
  return ends > now ? "" : "This card has expired; any future month will do.";
}

/**
 * @param {string} text
 * @param {string} cardDigits
 */
export function cvvProblem(text, cardDigits) {
  const length = CVV_DIGITS[networkOf(cardDigits)] ?? 3;
  return new RegExp(`^[0-9]{${length}}$`).test(text) ? "" : `Enter the ${length} digits of the CVV; any will do.`;
}

/** @param {string} text */
export function nameProblem(text) {
  return text.trim() === "" ? "Enter the name on the card." : "";
}

/** @param {string} text */
export function vpaProblem(text) {
  return /^[\w.-]{2,}@[a-z][a-z0-9]+$/i.test(text) ? "" : "Enter a UPI ID such as success@razorpay.";
}

/** @param {string} text */
export function otpProblem(text) {
  return /^[0-9]{1,10}$/.test(text) ? "" : "Enter 1 to 10 digits.";
}

function passesLuhn(digits) {
  let sum = 0;
  [...digits].reverse().forEach((digit, place) => {
    const doubled = Number(digit) * (place % 2 === 0 ? 1 : 2);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return sum % 10 === 0;
}
