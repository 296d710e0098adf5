/** One purchase as React state: purchase.js does the work, and this hook keeps it alive with the component. */

import { useCallback, useEffect, useRef, useState } from "react";

import { Purchase } from "../../../sandbox/shop/static/purchase.js";

/**
 * @param {object} given Each of these must stay the same object across renders (`useMemo`, or created outside the
 *   component): a different object means a different purchase.
 * @param {object} given.offer What create-order takes.
 * @param {() => Promise<string>} [given.quote] As for `Purchase`.
 * @param {import("@payment-service/payments-client").Payments} given.payments
 * @param {(order: object, onFailure: (error: object) => void) => Promise<object>} given.checkout As for `Purchase`.
 * @returns {{state: object, pay: () => void}} `state` is for `describe` of words.js.
 */
export function usePurchase({ offer, quote, payments, checkout }) {
  const [state, setState] = useState({ stage: "offered" });
  const purchase = useRef(null);

  useEffect(() => {
    const key = `order-of-${offer.application_id}`;
    const remember = (orderId) => (orderId === null ? localStorage.removeItem(key) : localStorage.setItem(key, orderId));
    const made = new Purchase({ offer, quote, payments, checkout, remember, show: setState });
    purchase.current = made;
    const orderId = localStorage.getItem(key);
    if (orderId !== null) {
      made.resume(orderId);
    }
    return () => made.close(); // no requests for a component that is gone
  }, [offer, quote, payments, checkout]);

  return { state, pay: useCallback(() => purchase.current?.start(), []) };
}
