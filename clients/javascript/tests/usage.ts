// What a page may write. Never run: it must compile against the installed package.
import { type Offer, type Order, type Payment, PaymentProblem, Payments } from "@payment-service/payments-client";
import { type Failure, loadCheckout, openCheckout, optionsFor } from "@payment-service/payments-client/checkout";

const payments = new Payments({ api: "https://payments.example.com", token: async () => "token", note: console.log });
const offer: Offer = { job_id: 1, application_id: 2, client_id: 3, freelancer_id: 4, amount: "499.50" };

export async function pay(quote: string): Promise<Payment> {
  const order: Order = await payments.createOrder({ ...offer, currency: "INR", quote });
  const minor: number = order.amount;
  await loadCheckout("https://checkout.razorpay.com/v1/checkout.js");
  const options = { ...optionsFor(order, { name: "Freelance, Inc.", notes: { minor } }), theme: { color: "#000" } };
  const result = await openCheckout(options, (failure: Failure) => console.log(failure.reason));
  if (result.paid) {
    const verified = await payments.verify(result.paid);
    const said: "success" = verified.status;
    console.log(said);
  } else {
    console.log(result.failure?.description);
  }
  return payments.get(order.order_id);
}

export async function show(payment: Payment): Promise<string> {
  const { current, earlier } = await payments.ofApplication(payment.application_id);
  const page = await payments.list({ role: "freelancer", cursor: null });
  const ids: string[] = [...earlier, ...page.payments].map(({ order_id }) => order_id);
  const status: "created" | "authorized" | "paid" | "failed" | "refunded" = payment.status;
  return `${status} ${current?.razorpay_payment_id ?? "nothing"} ${ids} ${page.next_cursor?.length}`;
}

export function told(problem: unknown): string {
  if (!(problem instanceof PaymentProblem)) {
    throw problem;
  }
  const fields = problem.errors.map(({ field, message }) => `${field} ${message}`);
  return problem.code === "unreachable" ? "offline" : `${problem.status} ${problem.orderId} ${problem.requestId} ${fields}`;
}
