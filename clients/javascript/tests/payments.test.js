import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, describe, mock, test } from "node:test";

import { Payments, PaymentProblem } from "@payment-service/payments-client";
import { load } from "js-yaml";

import { answering, ORDER, PAID, problem } from "./fakes.js";

const CONTRACT = load(readFileSync(new URL("../../../docs/openapi.yaml", import.meta.url), "utf8"));
const API = "https://payments.example.com/production";
const OFFER = { job_id: 11, application_id: 12, client_id: 42, freelancer_id: 77, amount: "499.50" };
/** The client's method for each operation of the contract that a page may call, and the request that it must make. */
const CALLS = {
  createOrder: [(payments) => payments.createOrder(OFFER), "POST", "create-order/", OFFER],
  verifyPayment: [(payments) => payments.verify(PAID), "POST", "verify/", PAID],
  getPayment: [(payments) => payments.get("order_DESlLckIVRkHWj"), "GET", "order_DESlLckIVRkHWj/"],
  findPayments: [(payments) => payments.list({ role: "client" }), "GET", "?role=client"],
};
/** Errors that pass by themselves, by docs/frontend.md: the client tries three times before it shows one. */
const TEMPORARY = ["too_many_requests", "gateway_unavailable", "temporarily_unavailable", "internal_error"];

const client = (more = {}) => new Payments({ api: API, token: async () => "t0ken", ...more });
const create = (more) => client(more).createOrder(OFFER);
const busy = (headers) => problem({ code: "temporarily_unavailable", status: 503 }, headers);
const inTurn = (answers) => () => answers.shift();

/** @yields {{operation: string, code: string, example: object}} Every error that the contract shows for an operation. */
function* errors() {
  for (const routes of Object.values(CONTRACT.paths)) {
    for (const { operationId: operation, responses } of Object.values(routes)) {
      if (!(operation in CALLS)) {
        continue;
      }
      for (const given of Object.values(responses)) {
        const { content } = given.$ref ? CONTRACT.components.responses[given.$ref.split("/").at(-1)] : given;
        const shown = content["application/problem+json"];
        for (const { value: example } of Object.values(shown?.examples ?? {})) {
          yield { operation, code: example.code, example };
        }
      }
    }
  }
}

afterEach(() => mock.restoreAll());

describe("requests", () => {
  for (const [operation, [call, method, path, body]] of Object.entries(CALLS)) {
    test(`${operation} sends what the contract says, and returns the answer`, async () => {
      const seen = answering(() => ORDER);

      assert.deepEqual(await call(client()), ORDER);
      assert.deepEqual(seen.requests, [
        {
          method,
          url: `${API}/api/payments/${path}`,
          headers: { Authorization: "Bearer t0ken", ...(body && { "Content-Type": "application/json" }) },
          ...(body && { body }),
        },
      ]);
    });
  }

  test("a quote is sent with the order", async () => {
    const seen = answering(() => ORDER);
    await client().createOrder({ ...OFFER, quote: "a.b.c" });
    assert.deepEqual(seen.requests[0].body, { ...OFFER, quote: "a.b.c" });
  });

  test("fields that Checkout adds are sent on unchanged", async () => {
    const seen = answering(() => ({ status: "success" }));
    await client().verify({ ...PAID, org_logo: "" });
    assert.deepEqual(seen.requests[0].body, { ...PAID, org_logo: "" });
  });

  test("the next page is asked for with the cursor of the one before", async () => {
    const seen = answering(inTurn([{ payments: [], next_cursor: "a-b_c" }, { payments: [], next_cursor: null }]));
    const { next_cursor: cursor } = await client().list({ role: "freelancer", cursor: null });
    await client().list({ role: "freelancer", cursor });
    assert.deepEqual(
      seen.requests.map(({ url }) => url.split("/").at(-1)),
      ["?role=freelancer", "?role=freelancer&cursor=a-b_c"],
    );
  });

  test("an application is looked up by its number", async () => {
    const seen = answering(() => ({ current: null, earlier: [] }));
    assert.deepEqual(await client().ofApplication(12), { current: null, earlier: [] });
    assert.equal(seen.requests[0].url, `${API}/api/payments/?application_id=12`);
  });

  test("the address of the service may end with a slash", async () => {
    const seen = answering(() => ORDER);
    await create({ api: `${API}/` });
    assert.equal(seen.requests[0].url, `${API}/api/payments/create-order/`);
  });

  test("every answer is noted, without what was sent or received", async () => {
    const notes = [];
    answering(inTurn([busy(), ORDER]));
    await create({ note: (note) => notes.push(note) });
    const call = { method: "POST", path: "create-order/" };
    assert.deepEqual(notes, [
      { ...call, result: "503 temporarily_unavailable" },
      { ...call, result: "200" },
    ]);
  });
});

describe("errors", () => {
  const shown = [...errors()];

  test("the contract shows errors for each operation", () => {
    assert.deepEqual(new Set(shown.map(({ operation }) => operation)), new Set(Object.keys(CALLS)));
  });

  for (const { operation, code, example } of shown) {
    test(`${operation}: ${code} arrives as a problem, ${example.errors?.[0].message ?? example.detail}`, async () => {
      const seen = answering(() => problem(example));

      const thrown = await CALLS[operation][0](client()).catch((error) => error);

      assert.ok(thrown instanceof PaymentProblem && thrown instanceof Error);
      const { name, message, status, requestId, orderId, errors } = thrown;
      assert.deepEqual([name, thrown.code, status, message], ["PaymentProblem", code, example.status, example.detail]);
      assert.deepEqual([requestId, orderId, errors], [example.request_id, example.order_id, example.errors ?? []]);
      const tries = TEMPORARY.includes(code) ? 3 : code === "unauthenticated" ? 2 : 1;
      assert.equal(seen.requests.length, tries);
    });
  }

  const unusable = {
    "no connection": () => {
      throw new TypeError("Failed to fetch");
    },
    "a proxy's page": () => new Response("<h1>Bad Gateway</h1>", { status: 502 }),
    "a page in place of an answer": () => new Response("<h1>Sign in to this network</h1>"),
    "API Gateway's own error": () => Response.json({ message: "Missing Authentication Token" }, { status: 403 }),
    "JSON that is no object": () => Response.json(null, { status: 502 }),
  };
  for (const [what, respond] of Object.entries(unusable)) {
    test(`${what} is unreachable, after three tries`, async () => {
      const seen = answering(respond);
      await assert.rejects(create(), { name: "PaymentProblem", code: "unreachable" });
      assert.equal(seen.requests.length, 3);
    });
  }

  test("without a token there is no request, and the cause is kept", async () => {
    const seen = answering(() => ORDER);
    const token = async () => {
      throw new Error("the identity service is down");
    };
    await assert.rejects(create({ token }), { code: "unreachable", message: /the identity service is down/ });
    assert.deepEqual(seen.requests, []);
  });
});

describe("retries", () => {
  test("the waits are those that the service asks for, ten seconds at most", async () => {
    const seen = answering(inTurn([busy({ "Retry-After": "3" }), busy({ "Retry-After": "600" }), ORDER]));
    assert.deepEqual(await create(), ORDER);
    assert.deepEqual(seen.waits, [3, 10]);
  });

  test("otherwise each wait is twice as long as the one before", async () => {
    const seen = answering(inTurn([busy(), busy({ "Retry-After": "soon" }), ORDER]));
    assert.deepEqual(await create(), ORDER);
    assert.deepEqual(seen.waits, [1, 2]);
  });

  test("a token that expired is renewed once, and the request repeated with the new one", async () => {
    const expired = problem({ code: "unauthenticated", status: 401 });
    const seen = answering(({ headers }) => (headers.Authorization === "Bearer new" ? ORDER : expired));
    assert.deepEqual(await create({ token: async ({ fresh }) => (fresh ? "new" : "old") }), ORDER);
    assert.equal(seen.requests.length, 2);
    assert.deepEqual(seen.waits, []);
  });

  test("no request waits for longer than API Gateway does, or for less than create-order may take", async () => {
    const limits = [];
    mock.method(AbortSignal, "timeout", (ms) => {
      limits.push(ms / 1000);
      return AbortSignal.abort(new DOMException("too late", "TimeoutError"));
    });
    answering(() => ORDER);
    await assert.rejects(create(), { code: "unreachable" });
    // docs/frontend.md, and API Gateway's quota of 29 s. create-order: 19 s, by `Timeout` in template.yaml.
    assert.ok(limits.every((limit) => limit > 19 && limit < 29) && limits.length === 3);
  });
});
