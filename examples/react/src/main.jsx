/** The page: the signed-in client, and one component per proposal. */

import { Payments } from "@payment-service/payments-client";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { session, token } from "../../../sandbox/shop/static/session.js";
import { Proposal } from "./Proposal.jsx";

const [config, client] = await Promise.all([fetch("/config.json").then((answer) => answer.json()), session()]);
const payments = new Payments({ api: config.api, token });

createRoot(document.querySelector("main")).render(
  <StrictMode>
    {client.proposals.map((proposal) => (
      <Proposal
        key={proposal.application_id}
        proposal={proposal}
        client={client}
        payments={payments}
        script={config.checkout_script}
      />
    ))}
  </StrictMode>,
);
