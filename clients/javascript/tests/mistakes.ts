// What a page must not write. Never run: each marked line must fail to compile, or the compiler reports the mark.
import { PaymentProblem, Payments } from "@payment-service/payments-client";
import { openCheckout, optionsFor } from "@payment-service/payments-client/checkout";

// @ts-expect-error the token may have to be asked for again
new Payments({ api: "https://payments.example.com", token: "token" });

const payments = new Payments({ api: "https://payments.example.com", token: async () => "token" });
const offer = { job_id: 1, application_id: 2, client_id: 3, freelancer_id: 4, amount: "499.50" };

export async function wrong(): Promise<void> {
  // @ts-expect-error a float loses paise
  await payments.createOrder({ ...offer, amount: 499.5 });
  // @ts-expect-error ids are numbers
  await payments.createOrder({ ...offer, job_id: "1" });
  // @ts-expect-error the freelancer is missing
  await payments.createOrder({ job_id: 1, application_id: 2, client_id: 3, amount: "499.50" });
  // @ts-expect-error a misspelt field
  await payments.createOrder({ ...offer, qoute: "a.b.c" });
  // @ts-expect-error Checkout may have been closed without a payment
  await payments.verify((await openCheckout({})).paid);
  // @ts-expect-error there is no such role
  await payments.list({ role: "operator" });
  // @ts-expect-error an order's id is a text
  const payment = await payments.get(1);
  // @ts-expect-error there is no such status
  console.log(payment.status === "captured");
  // @ts-expect-error amounts are numbers
  const amount: string = payment.amount;
  // @ts-expect-error a payment is no order to open Checkout with
  optionsFor(payment, { name: amount });
  const { current } = await payments.ofApplication(2);
  // @ts-expect-error there may be none
  console.log(current.status);
  // @ts-expect-error pages make no refunds
  payments.refund("order_DESlLckIVRkHWj");
  // @ts-expect-error there is no such code
  throw new PaymentProblem({ code: "payed" });
}
