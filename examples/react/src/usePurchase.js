/** One purchase as React state: purchase.js does the work, and this keeps it alive as long as the component is. */

import { useCallback, useEffect, useRef, useState } from "react";

import { Purchase } from "../../../sandbox/shop/static/purchase.js";

/**
 * @param {object} given Each of these must stay the same object from one rendering to the next (`useMemo`, or made outside
 *   of the component): another one is another purchase.
 * @param {object} given.offer What create-order takes.
 * @param {import("../../../sandbox/shop/static/payments.js").Payments} given.payments
 * @param {(order: object, onFailure: (error: object) => void) => Promise<object>} given.checkout As `Purchase` takes it.
 * @returns {{state: object, pay: () => void}} `state` is for `describe` of words.js.
 */
export function usePurchase({ offer, payments, checkout }) {
  const [state, setState] = useState({ stage: "offered" });
  const purchase = useRef(null);

  useEffect(() => {
    const key = `order-of-${offer.application_id}`;
    const remember = (orderId) => (orderId === null ? localStorage.removeItem(key) : localStorage.setItem(key, orderId));
    const made = new Purchase({ offer, payments, checkout, remember, show: setState });
    purchase.current = made;
    const orderId = localStorage.getItem(key);
    if (orderId !== null) {
      made.resume(orderId);
    }
    return () => made.close(); // nothing is asked for a component that is gone
  }, [offer, payments, checkout]);

  return { state, pay: useCallback(() => purchase.current?.start(), []) };
}
