/** Also for any other failure of verify: once Checkout has reported a payment, no other text fits. */
const NOT_CHECKED = { text: "We could not check this payment here; we are asking Razorpay. Do not pay again.", next: "wait" };

/**
 * What to tell the customer for each `code` of the payment service, and what they can do.
 *
 * `next` is one of "pay" (offer the button again), "sign-in", "wait" (keep looking at the payment) and "stop" (only an
 * operator or a developer can help). `over`: the attempt that Checkout reported has failed, so no confirmation of it
 * will come. `lasting`: still relevant once the payment's state is final.
 */
const MESSAGES = {
  // --- the customer can act
  already_paid: { text: "This proposal has been paid already. You were not charged again.", next: "stop", lasting: true },
  payment_in_progress: {
    text: "A payment is in progress for this proposal. Wait for its result before you try again.",
    next: "pay",
  },
  payment_under_review: { text: "Your payment is being checked; do not pay again.", next: "stop", over: true },
  payment_refunded: { text: "This payment was refunded in full.", next: "stop", over: true },
  payment_returned: {
    text: "This payment was not taken. Your bank returns the money; you can pay again.",
    next: "pay",
    over: true,
  },
  payment_failed: { text: "This payment failed. You can try again.", next: "pay", over: true },
  unauthenticated: { text: "You were signed out. Sign in again to go on; nothing is lost.", next: "sign-in" },
  forbidden: { text: "Only the client who owns this job can pay for it.", next: "stop" },
  order_not_found: { text: "We do not know this order any more. You can start again.", next: "pay" },

  // --- temporary; already retried when this is shown
  too_many_requests: { text: "Very many people are paying right now. Try again in a moment.", next: "pay" },
  gateway_unavailable: { text: "Razorpay cannot be reached right now. Try again in a moment.", next: "pay" },
  temporarily_unavailable: { text: "Payments are briefly unavailable. It is safe to try again.", next: "pay" },
  internal_error: { text: "Something went wrong on our side. It is safe to try again.", next: "pay" },
  // (the next two are this page's own codes, for requests that never reached the service)
  unreachable: { text: "There was no response. Check your connection; it is safe to try again.", next: "pay" },

  checkout_unavailable: {
    text: "Razorpay's payment window could not be loaded. Check your connection or content blocker, then try again.",
    next: "pay",
  },

  // --- after Checkout: the webhook still has the last word
  invalid_signature: NOT_CHECKED,

  // --- someone has to fix something
  gateway_refused: { text: "Razorpay did not accept the order. You were not charged; we have been told.", next: "stop" },
  invalid_request: { text: "This proposal cannot be paid as it is. Please contact support.", next: "stop" },
  malformed_request: { text: "This page sent something wrong. Please contact support.", next: "stop" },
  unsupported_media_type: { text: "This page sent something wrong. Please contact support.", next: "stop" },
  too_large: { text: "This page sent something wrong. Please contact support.", next: "stop" },
  method_not_allowed: { text: "This page is out of date. Reload it and try again.", next: "stop" },
  not_found: { text: "This page is out of date. Reload it and try again.", next: "stop" },
};

/**
 * @param {{code: string, requestId?: string}} problem A PaymentProblem.
 * @returns {{text: string, next: "pay" | "sign-in" | "wait" | "stop", over?: boolean, lasting?: boolean,
 *   reference?: string}} `reference` is for support.
 */
export function messageFor(problem) {
  // The code is newer than this page, but the status still says whether retrying can help.
  const message = MESSAGES[problem.code] ?? MESSAGES[problem.status >= 500 ? "internal_error" : "invalid_request"];
  return { ...message, reference: problem.requestId };
}

/**
 * The message when verify fails after Checkout has reported a payment. Money may have been taken, so never say that it
 * was not, or to try again, unless the service knows that the attempt is over.
 *
 * @param {{code: string, requestId?: string}} problem
 */
export function messageAfterCheckout(problem) {
  const message = messageFor(problem);
  return message.over ? message : { ...NOT_CHECKED, reference: message.reference };
}

/** The message while the payment cannot be read for a temporary reason. The page keeps trying by itself. */
export function messageWhileLooking(problem) {
  return {
    text: "We cannot see the state of your payment right now; we keep trying. Check your connection.",
    next: "wait",
    reference: problem.requestId,
  };
}
