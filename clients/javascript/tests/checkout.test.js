import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PaymentProblem } from "@payment-service/payments-client";
import { loadCheckout, openCheckout, optionsFor } from "@payment-service/payments-client/checkout";

import { ORDER, page, PAID } from "./fakes.js";

const FAILURE = { code: "BAD_REQUEST_ERROR", description: "The bank declined the payment.", reason: "payment_failed" };

describe("loading Checkout", () => {
  test("the script is loaded once, however often it is asked for", async () => {
    const seen = page(() => {});
    await Promise.all([loadCheckout("https://one.test/"), loadCheckout("https://one.test/")]);
    await loadCheckout("https://one.test/");
    assert.deepEqual(seen.scripts, ["https://one.test/"]);
  });

  test("a script that does not load is a problem, and is tried again the next time", async () => {
    const seen = page(() => {}, ["error", "load"]);
    const thrown = await loadCheckout("https://two.test/").catch((error) => error);
    assert.ok(thrown instanceof PaymentProblem);
    assert.equal(thrown.code, "checkout_unavailable");
    await loadCheckout("https://two.test/");
    assert.deepEqual(seen.scripts, ["https://two.test/", "https://two.test/"]);
  });
});

describe("the options", () => {
  test("the order's are the service's, whatever is shown", () => {
    const options = optionsFor(ORDER, { name: "Freelance, Inc.", order_id: "another", amount: 1 });
    const { key, order_id, amount, currency, name } = options;
    assert.deepEqual(
      { key, order_id, amount, currency, name },
      { key: ORDER.key_id, order_id: ORDER.order_id, amount: 49950, currency: "INR", name: "Freelance, Inc." },
    );
  });

  test("UPI Collect, which has ended, is hidden", () => {
    const { config } = optionsFor(ORDER, { name: "" });
    assert.deepEqual(config, { display: { hide: [{ method: "upi", flows: ["collect"] }] } });
  });
});

describe("an opened Checkout", () => {
  const open = (play, onFailure) => {
    page(play);
    return openCheckout(optionsFor(ORDER, { name: "Freelance, Inc." }), onFailure);
  };

  test("a payment ends it, with what Checkout returned unchanged", async () => {
    const given = { ...PAID, org_logo: "" };
    assert.deepEqual(await open(({ handler }) => handler(given)), { paid: given });
  });

  test("a dismissal ends it without a payment", async () => {
    assert.deepEqual(await open(({ modal }) => modal.ondismiss()), { paid: null, failure: null });
  });

  test("a failed attempt is told and does not end it, and a dismissal has the last one", async () => {
    const told = [];
    const last = { ...FAILURE, description: "The customer cancelled." };
    const play = ({ modal }, fail) => {
      fail(FAILURE);
      fail(last);
      modal.ondismiss();
    };
    const ended = await open(play, (error) => told.push(error));
    assert.deepEqual(ended, { paid: null, failure: last });
    assert.deepEqual(told, [FAILURE, last]);
  });

  test("a payment after a failed attempt is a payment", async () => {
    const play = ({ handler }, fail) => {
      fail(FAILURE);
      handler(PAID);
    };
    assert.deepEqual(await open(play), { paid: PAID });
  });

  test("it asks before it is closed", async () => {
    let asks;
    await open(({ modal }) => {
      asks = modal.confirm_close;
      modal.ondismiss();
    });
    assert.equal(asks, true);
  });
});
