"""One purchase as the shop's modules show it, with a payment service scripted by each test.

The modules run in a real browser, served from their files; waits end at once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from playwright.sync_api import Page, Route

from tests.browser.conftest import Problems

PROJECT: Final = Path(__file__).parents[2]
STATIC: Final = PROJECT / "sandbox/shop/static"
ADDRESS: Final = "http://shop.test"
PROBLEM: Final = yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text())["components"]["schemas"]["Problem"]
CODES: Final[list[str]] = PROBLEM["properties"]["code"]["enum"]
OVER: Final = {"payment_failed", "payment_returned", "payment_refunded", "payment_under_review"}
"""The codes of verify that settle the payment's outcome (docs/openapi.yaml); all others leave it open."""
CONFIRMED: Final = "Razorpay has confirmed your payment. The freelancer can start."
THANKS: Final = "Thank you. We are waiting for Razorpay's confirmation, usually for seconds. You may leave this page."
UNPAID: Final = {"status": "created", "confirmed": False, "under_review": False, "amount_refunded": 0}
FAILED: Final = UNPAID | {"status": "failed"}
AUTHORIZED: Final = UNPAID | {"status": "authorized"}
HELD: Final = AUTHORIZED | {"under_review": True}
SIGNED: Final = UNPAID | {"status": "paid"}
PAID: Final = SIGNED | {"confirmed": True}

# Calls the purchase as the page does, and keeps what was shown. `looks` lists GET's responses in order; a text is a
# problem's code. After the last one the purchase is closed, as when its card is removed.
PLAY: Final = """
async ({ create, checkout, verify, looks, resume }) => {
  const { Purchase } = await import("/purchase.js");
  const { PaymentProblem } = await import("/clients/javascript/src/payments.js");
  const { describe } = await import("/words.js");
  const { setTimeout } = window;
  window.setTimeout = (call) => setTimeout(call, 0);
  const answer = (given) => {
    if (typeof given === "string" || given.code !== undefined) {
      const problem = typeof given === "string" ? { code: given } : given;
      throw new PaymentProblem({ status: 400, request_id: "r-1", ...problem });
    }
    return { order_id: "order_1", currency: "INR", amount: 100, ...given };
  };
  const shown = [];
  const remembered = [];
  await new Promise((done) => {
    const rest = [...looks];
    const purchase = new Purchase({
      offer: {},
      payments: {
        createOrder: async () => answer(create),
        verify: async () => answer(verify),
        get: async () => {
          if (rest.length === 0) {
            purchase.close();
            done();
          }
          return answer(rest.shift() ?? { status: "created" });
        },
      },
      checkout: async (_order, onFailure) => {
        if (checkout.failure) {
          onFailure(checkout.failure);
        }
        return checkout;
      },
      remember: (orderId) => remembered.push(orderId),
      show: (state) => {
        shown.push({ stage: state.stage, ...describe(state, "₹1.00") });
        if (["confirmed", "refunded", "stopped"].includes(state.stage)) {
          done();
        }
      },
    });
    if (resume) {
      purchase.resume("order_1");
    } else {
      purchase.start();
    }
  });
  return { shown, remembered };
}
"""
# The tests replace waits.
KEEP_WAITS: Final = "window.usual = window.setTimeout"
USUAL_WAITS: Final = "window.setTimeout = window.usual"
PAYS: Final[dict[str, Any]] = {"paid": {"razorpay_payment_id": "pay_1"}}
LEAVES: Final[dict[str, Any]] = {"paid": None, "failure": None}


@pytest.fixture(scope="module")
def modules(file_page: Page) -> Page:
    """A page that can load the modules. They keep nothing between purchases."""

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/")
        if name == "":
            route.fulfill(
                content_type="text/html", body="<!doctype html><title>Modules</title><link rel=icon href=data:,>"
            )
        else:
            folder = PROJECT if name.startswith("clients/") else STATIC
            route.fulfill(content_type="text/javascript", path=folder / name)

    file_page.route(f"{ADDRESS}/**", serve)
    file_page.goto(f"{ADDRESS}/")
    file_page.evaluate(KEEP_WAITS)
    return file_page


@pytest.fixture
def page(modules: Page, page_problems: Problems) -> Iterator[Page]:
    page_problems.watch(modules)
    yield modules
    page_problems.unwatch(modules)
    modules.evaluate(USUAL_WAITS)
    assert page_problems.unexpected() == []


def play(page: Page, **story: Any) -> dict[str, Any]:
    usual = {"create": UNPAID, "checkout": LEAVES, "verify": {}, "looks": [], "resume": False}
    played: dict[str, Any] = page.evaluate(PLAY, usual | story)
    return played


def states(page: Page, **story: Any) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = play(page, **story)["shown"]
    return shown


@pytest.mark.parametrize("code", [*CODES, "unreachable", "newer_than_the_page"])
def test_a_failed_verify_whose_payment_is_then_confirmed_ends_in_the_confirmation(page: Page, code: str) -> None:
    shown = states(page, checkout=PAYS, verify=code, looks=[UNPAID, UNPAID, SIGNED, PAID])

    last = shown[-1]
    assert (last["label"], last["status"]) == ("Paid", CONFIRMED)
    assert last["button"]["hidden"]
    after = shown[[state["stage"] for state in shown].index("verifying") + 1 :]
    if code not in OVER:
        for state in after:
            # Money may have been taken, so the page neither denies it nor asks for payment.
            assert "charged" not in state["status"]
            assert "try again" not in state["status"].lower()
            assert state["button"]["disabled"] or state["button"]["hidden"]
        assert "Do not pay again." in after[0]["status"]
        assert after[-2]["status"] == THANKS


@pytest.mark.parametrize("code", sorted(OVER))
def test_what_verify_says_of_the_payment_is_said_until_the_payment_moves_on(page: Page, code: str) -> None:
    shown = states(page, checkout=PAYS, verify=code, looks=[UNPAID, UNPAID, FAILED])

    assert shown[-2]["status"] == shown[-3]["status"] != shown[-1]["status"]
    assert shown[-1]["status"] == "The last attempt failed. You can try again, on the same order."


def test_who_leaves_checkout_is_not_told_that_there_was_no_payment(page: Page) -> None:
    shown = states(page, looks=[UNPAID, UNPAID, AUTHORIZED, PAID])

    assert shown[-3]["label"] == "Not paid yet"
    for state in shown[:-2]:
        assert "left" not in state["status"]
        assert "not charged" not in state["status"]
    assert "If you approved one in your UPI or bank app, wait for it here" in shown[-3]["status"]
    assert [state["status"] for state in shown[-2:]] == [THANKS, CONFIRMED]


def test_the_reason_of_a_failed_attempt_goes_when_a_payment_arrives_all_the_same(page: Page) -> None:
    failure = {"description": "The bank did not answer."}
    shown = states(page, checkout={"paid": None, "failure": failure}, looks=[FAILED, AUTHORIZED, PAID])

    assert shown[-3]["status"] == "The last attempt failed: The bank did not answer. You can try again."
    assert [state["status"] for state in shown[-2:]] == [THANKS, CONFIRMED]


def test_a_payment_under_way_is_not_said_to_be_once_it_has_failed(page: Page) -> None:
    refused = {"code": "payment_in_progress", "order_id": "order_1"}
    shown = states(page, create=refused, looks=[UNPAID, FAILED])

    assert "A payment is in progress" in shown[-2]["status"]
    assert shown[-1]["status"] == "The last attempt failed. You can try again, on the same order."


def test_a_proposal_paid_already_says_so_beside_the_confirmation(page: Page) -> None:
    shown = states(page, create={"code": "already_paid", "order_id": "order_1"}, looks=[PAID])

    said = f"This proposal has been paid already. You were not charged again. {CONFIRMED}"
    assert shown[-1]["status"] == f"{said} Reference for support: r-1"


@pytest.mark.parametrize("record", [UNPAID, FAILED, HELD])
def test_an_application_under_review_is_shown_as_being_checked_whatever_the_order_is(
    page: Page, record: dict[str, Any]
) -> None:
    shown = states(page, create={"code": "payment_under_review", "order_id": "order_1"}, looks=[record, record])

    assert {state["label"] for state in shown[1:]} == {"Being checked"}
    assert shown[-1]["status"] == "Your payment is being checked; do not pay again. Order order_1."
    assert shown[-1]["button"]["hidden"]


def test_a_payment_that_was_checked_and_accepted_becomes_paid_without_a_reload(page: Page) -> None:
    shown = states(page, create={"code": "payment_under_review", "order_id": "order_1"}, looks=[HELD, PAID])

    assert (shown[-1]["label"], shown[-1]["status"]) == ("Paid", CONFIRMED)


@pytest.mark.parametrize("status", ["paid", "refunded"])
def test_money_under_review_beside_a_settled_payment_is_told_with_it(page: Page, status: str) -> None:
    record = PAID | {"status": status, "under_review": True}
    shown = states(page, looks=[record], resume=True)

    assert shown[-1]["status"].endswith("A further payment is being checked; do not pay again.")


@pytest.mark.parametrize("code", ["unreachable", "internal_error", "too_many_requests", "gateway_unavailable"])
def test_a_look_that_fails_changes_nothing_about_the_payment(page: Page, code: str) -> None:
    shown = states(page, looks=[UNPAID, code, code, UNPAID], resume=True)

    assert [state["label"] for state in shown[1:]] == ["Not paid yet"] * 4
    assert "We cannot see the state of your payment right now" in shown[2]["status"]
    assert "No payment has arrived yet." in shown[4]["status"]


def test_a_look_that_fails_first_promises_no_payment(page: Page) -> None:
    shown = states(page, looks=["unreachable", UNPAID], resume=True)

    assert [state["label"] for state in shown[:2]] == ["One moment", "One moment"]


def test_an_unknown_order_is_forgotten_and_can_be_made_anew(page: Page) -> None:
    played = play(page, looks=["order_not_found"], resume=True)

    assert played["remembered"] == [None]
    assert played["shown"][-1]["button"] == {"text": "Pay ₹1.00", "disabled": False, "hidden": False}


@pytest.mark.parametrize(("checkout", "text"), [(PAYS, "Sign in"), (LEAVES, "Sign in and pay ₹1.00")])
def test_who_is_signed_out_after_paying_is_asked_to_sign_in_and_not_to_pay(
    page: Page, checkout: dict[str, Any], text: str
) -> None:
    shown = states(page, checkout=checkout, looks=["unauthenticated"])

    assert shown[-1]["button"] == {"text": text, "disabled": False, "hidden": False}


def test_a_purchase_that_is_closed_asks_and_shows_nothing_more(page: Page) -> None:
    heard = page.evaluate(
        """async () => {
            const { Purchase } = await import("/purchase.js");
            const heard = [];
            const soon = window.setTimeout;
            window.setTimeout = (call) => soon(call, 0);
            let leave;
            const purchase = new Purchase({
              offer: {},
              payments: {
                createOrder: async () => ({ order_id: "order_1", status: "created" }),
                get: async () => { heard.push("asked"); return { status: "created" }; },
              },
              checkout: () => new Promise((resolve) => { leave = resolve; }),
              remember: () => {},
              show: ({ stage }) => heard.push(stage),
            });
            purchase.resume("order_1");
            await new Promise((done) => soon(done, 50));
            const watched = heard.length;
            purchase.start();
            await new Promise((done) => soon(done, 50));
            purchase.close();
            heard.push("closed");
            leave({ paid: null, failure: null });
            purchase.resume("order_1");
            await new Promise((done) => soon(done, 100));
            return { watched, heard };
        }"""
    )
    assert heard["watched"] > 3
    assert heard["heard"][-1] == "closed"


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        (f"{ADDRESS}/production", f"{ADDRESS}/production/api/payments/order_1/"),
        (f"{ADDRESS}/production/", f"{ADDRESS}/production/api/payments/order_1/"),
        (ADDRESS, f"{ADDRESS}/api/payments/order_1/"),
    ],
)
def test_the_service_is_called_under_its_base_url_with_and_without_a_stage(page: Page, base: str, asked: str) -> None:
    called = []

    def answer(route: Route) -> None:
        called.append(route.request.url)
        route.fulfill(json=PAID)

    page.route("**/api/payments/**", answer)
    page.evaluate(
        """async (api) => {
            const { Payments } = await import("/clients/javascript/src/payments.js");
            await new Payments({ api, token: async () => "token" }).get("order_1");
        }""",
        base,
    )
    assert called == [asked]


def test_an_identity_service_that_cannot_be_reached_is_no_mistake_of_the_page(page: Page) -> None:
    code = page.evaluate(
        """async () => {
            const { Payments } = await import("/clients/javascript/src/payments.js");
            window.setTimeout = (call) => queueMicrotask(call);
            const token = async () => { throw new TypeError("Failed to fetch"); };
            return new Payments({ api: "", token }).get("order_1").catch((problem) => problem.code);
        }"""
    )
    assert code == "unreachable"
