/** What the examples of the README run on: a platform, the service with one payment, and a customer who pays. */

import { answering, ORDER, page, PAID, problem } from "./fakes.js";

const PAYMENT = { ...ORDER, status: "paid", confirmed: true };
const API = "https://payments.example.com/api/payments/";
let ordered = false;
let verified = false;

const ROUTES = {
  "POST /token": () => ({ access_token: "t0ken" }),
  "POST /quotes/12": () => new Response("a.b.c"),
  [`POST ${API}create-order/`]: ({ body }) => {
    if (verified) {
      return problem({ code: "already_paid", status: 409, order_id: ORDER.order_id });
    }
    ordered = body.quote === "a.b.c" && body.amount === "499.50";
    return ORDER;
  },
  [`POST ${API}verify/`]: ({ body }) => {
    verified = ordered && body.razorpay_signature === PAID.razorpay_signature;
    return { status: "success" };
  },
  [`GET ${API}${ORDER.order_id}/`]: () => ({ ...PAYMENT, confirmed: verified }),
  [`GET ${API}?application_id=12`]: () => ({ current: PAYMENT, earlier: [] }),
  [`GET ${API}?role=client`]: () => ({ payments: [PAYMENT], next_cursor: "a-b_c" }),
  [`GET ${API}?role=client&cursor=a-b_c`]: () => ({ payments: [], next_cursor: null }),
};

answering((request) => ROUTES[`${request.method} ${request.url}`](request));
page(({ order_id, handler }) => handler({ ...PAID, razorpay_order_id: order_id }));
