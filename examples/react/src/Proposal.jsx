import { loadCheckout, openCheckout, optionsFor } from "@payment-service/payments-client/checkout";
import { useCallback, useMemo } from "react";

import { inWords } from "../../../sandbox/shop/static/money.js";
import { quote } from "../../../sandbox/shop/static/session.js";
import { describe } from "../../../sandbox/shop/static/words.js";
import { usePurchase } from "./usePurchase.js";

/** A proposal with its price, the state of its payment, and the pay button. */
export function Proposal({ proposal, client, payments, script }) {
  const offer = useMemo(
    () => ({
      job_id: proposal.job_id,
      application_id: proposal.application_id,
      client_id: client.user_id,
      freelancer_id: proposal.freelancer_id,
      amount: proposal.amount,
    }),
    [proposal, client],
  );
  const price = useCallback(() => quote(proposal.application_id), [proposal]);
  const checkout = useCallback(
    async (order, onFailure) => {
      await loadCheckout(script);
      const shown = { name: "Freelance, Inc.", description: proposal.title, prefill: client.prefill };
      return openCheckout(optionsFor(order, shown), onFailure);
    },
    [proposal, client, script],
  );
  const { state, pay } = usePurchase({ offer, quote: price, payments, checkout });
  const { label, tone, status, button } = describe(state, inWords(proposal.amount_minor, proposal.currency));
  return (
    <article className="card">
      <div className="heading">
        <h2>{proposal.title}</h2>
        <p className="label" data-tone={tone} data-part="label">
          {label}
        </p>
      </div>
      <p role="status">{status}</p>
      {button.hidden || (
        // Not `disabled`: that would lose the keyboard focus.
        <button type="button" aria-disabled={button.disabled} onClick={() => button.disabled || pay()}>
          {button.text}
        </button>
      )}
    </article>
  );
}
