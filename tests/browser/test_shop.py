"""The shop page in a real browser, on the deployed service: what its customers do, and what happens to them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page, Request, Route, expect

from sandbox import development
from sandbox.cloud.service import LocalService
from sandbox.demo import Service
from tests.browser.conftest import COLOUR_SCHEMES
from tests.shop.codes import frontend_codes

_SHOPS_OWN = {"Access-Control-Allow-Origin": "*"}
"""The headers a browser needs to pass a test's fake response to a page of another origin."""
SLOW_MS = 45_000
"""How long a webhook may take: a cold start on a busy machine, then Razorpay's second attempt."""


class Shop:
    """One client on the shop page, before one of the proposals."""

    def __init__(self, page: Page, service: LocalService, *, proposal: int = 0) -> None:
        self.page = page
        self.service = service
        self.proposal = proposal
        self.opened: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.method != "OPTIONS":
            self.opened.append(f"{request.method} {request.url}")

    def open(self) -> None:
        self.page.goto(self.service.endpoints["shop"])
        expect(self.card).to_be_visible()

    @property
    def card(self) -> Locator:
        return self.page.get_by_role("article").nth(self.proposal)

    @property
    def pay_button(self) -> Locator:
        return self.card.get_by_role("button")

    @property
    def checkout(self) -> FrameLocator:
        return self.page.frame_locator("iframe")

    def order_id(self) -> str:
        link = self.card.get_by_role("link")
        expect(link).to_be_visible()
        return (link.get_attribute("href") or "").partition("#")[2]

    def expect_label(self, label: str) -> None:
        expect(self.card.locator("[data-part=label]")).to_have_text(label, timeout=SLOW_MS)

    def expect_status(self, text: str | re.Pattern[str]) -> None:
        expect(self.card.get_by_role("status")).to_contain_text(text, timeout=SLOW_MS)

    def open_checkout(self) -> None:
        self.pay_button.click()
        expect(self.checkout.get_by_role("tab", name="UPI")).to_be_visible(timeout=SLOW_MS)

    def pay_by_upi(self, answer: str | None = "Approve") -> None:
        """Scans the code and responds in the app."""
        self.checkout.get_by_role("tab", name="UPI").click()
        self.checkout.get_by_role("button", name=re.compile("^Pay ")).click()
        if answer is not None:
            self.checkout.get_by_role("button", name=answer).click()

    def leave_checkout(self) -> None:
        self.checkout.get_by_role("button", name="Close checkout").click()
        self.checkout.get_by_role("button", name="Yes, leave").click()
        expect(self.page.locator("iframe")).to_have_count(0)

    def calls(self, part: str) -> list[str]:
        return [call for call in self.opened if part in call]

    def ledger(self, order_id: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.service.endpoints['razorpay']}/_control/ledger", params={"order_id": order_id}, timeout=10
        )
        ledger: dict[str, Any] = answer.json()
        return ledger

    def payments(self, order_id: str) -> list[str]:
        return [payment["status"] for payment in self.ledger(order_id)["payments"]]

    def record(self, order_id: str) -> dict[str, Any]:
        return Service(self.service.endpoints).record(order_id)

    def control(self, method: str, path: str, document: dict[str, Any]) -> None:
        answer = requests.request(
            method, f"{self.service.endpoints['razorpay']}/_control/{path}", json=document, timeout=30
        )
        assert answer.ok, answer.text


@pytest.fixture
def shop(page: Page, local_service: LocalService) -> Shop:
    made = Shop(page, local_service)
    made.open()
    return made


@pytest.fixture
def held(shop: Shop) -> Callable[[], None]:
    """Razorpay withholds its webhooks until the test calls this."""
    shop.control("PUT", "faults", {"webhooks": "hold"})

    def release() -> None:
        shop.control("PUT", "faults", {"webhooks": "send"})
        shop.control("POST", "events/release", {})

    return release


@pytest.fixture(autouse=True)
def _as_usual_afterwards(shop: Shop) -> Any:
    yield
    shop.control("PUT", "faults", {"webhooks": "send"})


def test_a_client_accepts_pays_and_sees_it_confirmed(shop: Shop) -> None:
    expect(shop.pay_button).to_have_text("Accept and pay ₹2,500.00")

    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    shop.expect_status("Razorpay has confirmed your payment.")
    expect(shop.pay_button).to_be_hidden()
    record = shop.record(shop.order_id())
    assert (record["status"], record["confirmed"], record["amount"]) == ("paid", True, 250_000)
    assert len(shop.calls("/verify/")) == 1


def test_until_the_webhook_lands_the_page_says_received_and_not_paid(shop: Shop, held: Callable[[], None]) -> None:
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Payment received")
    shop.expect_status("waiting for Razorpay's confirmation")
    assert shop.record(shop.order_id())["confirmed"] is False
    held()

    shop.expect_label("Paid")


def test_an_attempt_that_fails_is_repeated_on_the_same_order(shop: Shop) -> None:
    shop.open_checkout()
    shop.pay_by_upi("Decline")
    expect(shop.checkout.get_by_role("heading", name="The payment failed")).to_be_visible()
    shop.checkout.get_by_role("button", name="Try again").click()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert shop.payments(shop.order_id()) == ["failed", "captured"]
    assert len(shop.calls("/create-order/")) == 1


def test_a_client_who_gives_up_after_a_failure_pays_the_same_order_later(shop: Shop) -> None:
    shop.open_checkout()
    shop.pay_by_upi("Decline")
    expect(shop.checkout.get_by_role("heading", name="The payment failed")).to_be_visible()
    shop.leave_checkout()

    shop.expect_label("Not paid yet")
    shop.expect_status("The last attempt failed")
    order_id = shop.order_id()
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert shop.order_id() == order_id
    assert shop.payments(order_id) == ["failed", "captured"]


def test_a_client_who_closes_checkout_can_go_on_with_the_same_order(shop: Shop) -> None:
    shop.open_checkout()
    shop.leave_checkout()

    shop.expect_label("Not paid yet")
    shop.expect_status("No payment has arrived yet. If you approved one in your UPI or bank app, wait for it here")
    order_id = shop.order_id()
    assert shop.payments(order_id) == []
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert shop.order_id() == order_id


def test_two_clicks_make_one_order_and_one_checkout(shop: Shop) -> None:
    shop.pay_button.dblclick()

    expect(shop.checkout.get_by_role("tab", name="UPI")).to_be_visible(timeout=SLOW_MS)
    assert len(shop.calls("/create-order/")) == 1
    expect(shop.page.locator("iframe")).to_have_count(1)


def test_a_reload_while_checkout_is_open_loses_nothing(shop: Shop) -> None:
    shop.open_checkout()
    order_id = shop.page.evaluate("Object.values(localStorage)[0]")
    shop.page.reload()

    shop.expect_label("Not paid yet")
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert shop.order_id() == order_id


def test_a_reload_before_the_confirmation_goes_on_waiting_for_it(shop: Shop, held: Callable[[], None]) -> None:
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Payment received")
    shop.page.reload()

    shop.expect_label("Payment received")
    held()

    shop.expect_label("Paid")


def test_a_token_that_has_expired_is_renewed_once_and_unnoticed(shop: Shop, page_problems: Any) -> None:
    page_problems.expected.append("answer: 401 POST")

    def expired(route: Route) -> None:
        answer = route.fetch()
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        session = answer.json() | {"access_token": development.token(1, now=long_ago, lifetime=timedelta(minutes=5))}
        route.fulfill(response=answer, json=session)

    shop.page.route("**/session", expired, times=1)
    shop.page.reload()
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert len(shop.calls("/create-order/")) == 2
    assert any("401 POST" in problem for problem in page_problems.seen)


def test_a_client_whom_the_service_keeps_refusing_is_asked_to_sign_in(shop: Shop, page_problems: Any) -> None:
    page_problems.expected.append("answer: 401 POST")

    def wrong(route: Route) -> None:
        answer = route.fetch()
        forged = development.token(1, secret="another-key-that-is-not-the-platforms-own")
        route.fulfill(response=answer, json=answer.json() | {"access_token": forged})

    shop.page.route("**/session", wrong)
    shop.page.reload()
    shop.pay_button.click()

    shop.expect_status("Sign in again to go on; nothing is lost.")
    expect(shop.pay_button).to_have_text(re.compile("Sign in and pay"))
    shop.page.unroute("**/session")
    shop.open_checkout()


def test_without_verify_the_webhook_alone_confirms_the_payment(shop: Shop) -> None:
    shop.page.route("**/api/payments/verify/", lambda route: route.abort())
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    history = [entry["what"] for entry in shop.record(shop.order_id())["history"]]
    assert not any("signed" in what for what in history)


def test_a_tab_closed_right_after_paying_costs_nothing(shop: Shop, context: BrowserContext) -> None:
    shop.page.route("**/api/payments/verify/", lambda _route: None)  # the request never leaves
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Checking")
    shop.page.close()
    again = Shop(context.new_page(), shop.service)
    again.open()

    again.expect_label("Paid")


def test_what_passes_by_itself_is_tried_again_after_the_wait_that_the_service_asks_for(
    shop: Shop, page_problems: Any
) -> None:
    page_problems.expected.append("answer: 503 POST")
    problem = {
        "type": "urn:payment-service:problem:gateway_unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The payment gateway cannot be reached right now.",
        "code": "gateway_unavailable",
        "request_id": "1",
    }
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "1"}
    shop.page.route(
        "**/api/payments/create-order/",
        lambda route: route.fulfill(status=503, headers=headers, json=problem),
        times=2,
    )

    shop.open_checkout()

    assert len(shop.calls("/create-order/")) == 3


def test_a_service_that_cannot_be_reached_says_so_and_leaves_the_button(shop: Shop) -> None:
    shop.page.route("**/api/payments/create-order/", lambda route: route.abort())
    shop.pay_button.click()

    shop.expect_status("There was no response. Check your connection; it is safe to try again.")
    shop.page.unroute("**/api/payments/create-order/")
    shop.open_checkout()


def test_a_blocked_checkout_script_says_so_and_the_next_click_loads_it(shop: Shop) -> None:
    shop.page.route("**/v1/checkout.js", lambda route: route.abort())
    shop.pay_button.click()

    shop.expect_status("could not be loaded")
    shop.page.unroute("**/v1/checkout.js")
    shop.open_checkout()


def test_a_proposal_paid_in_another_tab_is_not_paid_twice(
    shop: Shop, context: BrowserContext, page_problems: Any
) -> None:
    page_problems.expected.append("answer: 409 POST")
    other = Shop(context.new_page(), shop.service)
    other.open()
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Paid")

    other.pay_button.click()

    other.expect_status("This proposal has been paid already.")
    assert shop.payments(shop.order_id()) == ["captured"]


def test_another_sum_than_agreed_is_being_checked_and_nobody_is_to_pay_again(shop: Shop, page_problems: Any) -> None:
    page_problems.expected.append("answer: 409 POST")
    shop.open_checkout()
    order_id = shop.order_id()
    shop.leave_checkout()
    shop.control("POST", "pay", {"order_id": order_id, "amount": 249_900})

    shop.expect_label("Being checked")
    shop.expect_status(f"Your payment is being checked; do not pay again. Order {order_id}.")
    expect(shop.pay_button).to_be_hidden()

    # A browser that does not know the order gets the same response from create-order.
    shop.page.evaluate("localStorage.clear()")
    shop.page.reload()
    shop.pay_button.click()
    shop.expect_status(f"Your payment is being checked; do not pay again. Order {order_id}.")
    expect(shop.pay_button).to_be_hidden()
    assert shop.order_id() == order_id


@pytest.mark.parametrize(
    ("code", "status", "can_pay"),
    [
        ("payment_failed", "This payment failed. You can try again.", True),
        ("payment_returned", "Your bank returns the money; you can pay again.", True),
        ("payment_refunded", "This payment was refunded in full.", False),
        ("payment_under_review", "Your payment is being checked; do not pay again.", False),
    ],
)
@pytest.mark.usefixtures("held")
def test_an_attempt_that_verify_calls_over_is_not_called_received(
    shop: Shop, page_problems: Any, code: str, status: str, *, can_pay: bool
) -> None:
    page_problems.expected.append("answer: 409 POST")

    def over(route: Route) -> None:
        problem = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "…", "code": code}
        route.fulfill(status=409, json=problem, headers=_SHOPS_OWN)

    shop.page.route("**/verify/", over)
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_status(status)
    shop.expect_label("Not paid yet")
    expect(shop.pay_button).to_have_attribute("aria-disabled", str(not can_pay).lower())


def test_a_payment_under_way_on_another_order_is_watched_until_it_has_settled(shop: Shop, page_problems: Any) -> None:
    page_problems.expected.append("answer: 409 POST")
    shop.open_checkout()
    order_id = shop.order_id()
    shop.leave_checkout()

    def under_way(route: Route) -> None:
        problem = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "…", "order_id": order_id}
        route.fulfill(status=409, json=problem | {"code": "payment_in_progress"}, headers=_SHOPS_OWN)

    shop.page.evaluate("localStorage.clear()")
    shop.page.reload()
    shop.page.route("**/create-order/", under_way)
    shop.pay_button.click()
    shop.expect_status("A payment is in progress for this proposal.")
    assert shop.order_id() == order_id

    shop.control("POST", "pay", {"order_id": order_id})
    shop.expect_label("Paid")
    shop.expect_status("Razorpay has confirmed your payment.")


def test_a_bank_that_answers_too_late_is_noticed_without_the_client(shop: Shop) -> None:
    shop.open_checkout()
    shop.pay_by_upi("The bank answers too late")
    expect(shop.checkout.get_by_role("heading", name="The payment failed")).to_be_visible()
    shop.leave_checkout()
    shop.expect_label("Not paid yet")

    shop.expect_label("Paid")
    assert shop.payments(shop.order_id()) == ["captured"]


def test_a_payment_approved_in_the_app_after_checkout_was_closed_arrives(shop: Shop) -> None:
    shop.open_checkout()
    shop.pay_by_upi(answer=None)
    expect(shop.checkout.get_by_role("heading", name="Scan with any UPI app")).to_be_visible()
    shop.leave_checkout()
    shop.expect_label("Not paid yet")
    shop.expect_status("If you approved one in your UPI or bank app, wait for it here")

    order_id = shop.order_id()
    payment_id = shop.ledger(order_id)["payments"][0]["id"]
    shop.control("POST", f"payments/{payment_id}/finish", {"outcome": "success"})

    shop.expect_label("Paid")
    shop.expect_status("Razorpay has confirmed your payment.")


def test_a_failed_verify_whose_webhook_comes_ends_in_the_confirmation(
    shop: Shop, page_problems: Any, held: Callable[[], None]
) -> None:
    page_problems.expected.append("answer: 400 POST")

    def wrong(route: Route) -> None:
        problem = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "…"}
        route.fulfill(status=400, json=problem | {"code": "invalid_signature"}, headers=_SHOPS_OWN)

    shop.page.route("**/verify/", wrong)
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_status("We could not check this payment here; we are asking Razorpay. Do not pay again.")
    expect(shop.pay_button).to_have_attribute("aria-disabled", "true")
    held()

    shop.expect_label("Paid")
    expect(shop.card.get_by_role("status")).to_have_text(
        "Razorpay has confirmed your payment. The freelancer can start."
    )


def test_a_refund_is_shown_when_the_client_comes_back(shop: Shop) -> None:
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Paid")
    order_id = shop.order_id()
    payment_id = shop.ledger(order_id)["payments"][0]["id"]
    keys = (development.RAZORPAY_KEY_ID, development.RAZORPAY_KEY_SECRET)
    address = f"{shop.service.endpoints['razorpay']}/v1/payments/{payment_id}/refund"

    requests.post(address, json={"amount": 50_000}, auth=keys, timeout=10).raise_for_status()
    _reload_until(shop, lambda: expect(shop.card.get_by_role("status")).to_contain_text("₹500.00 of it was refunded."))
    requests.post(address, json={}, auth=keys, timeout=10).raise_for_status()
    _reload_until(shop, lambda: expect(shop.card.locator("[data-part=label]")).to_have_text("Refunded"))


def _reload_until(shop: Shop, shown: Callable[[], None]) -> None:
    # A page that shows a settled payment does not poll again; reloading it does.
    for _ in range(20):
        shop.page.reload()
        try:
            shown()
        except AssertionError:
            continue
        return
    shown()


def test_a_client_finds_their_payments_again_newest_first_and_older_ones_on_request(shop: Shop) -> None:
    text = shop.page.locator("#client").text_content() or ""
    client = int(text.rpartition(" ")[2])
    # Closed, it asks for nothing.
    assert shop.calls("role=client") == []
    shop.page.get_by_text("Your payments").click()
    expect(shop.page.locator("#payments-status")).to_have_text("You have no payments yet.", timeout=SLOW_MS)
    api = shop.service.endpoints["api"]
    headers = {"Authorization": f"Bearer {development.token(client)}"}
    made = []
    for number in range(1, 28):
        offer = {"job_id": 1, "application_id": number, "client_id": client, "freelancer_id": 7, "amount": number}
        answer = requests.post(f"{api}/api/payments/create-order/", json=offer, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["order_id"])
    for _ in range(2):
        shop.page.get_by_text("Your payments").click()
    entries = shop.page.locator("#payments li")
    expect(entries).to_have_count(25, timeout=SLOW_MS)
    expect(entries.first).to_contain_text("Not paid yet")
    shop.page.get_by_role("button", name="Show older payments").click()
    expect(entries).to_have_count(27, timeout=SLOW_MS)
    expect(shop.page.get_by_role("button", name="Show older payments")).to_be_hidden()
    shown = [(link.get_attribute("href") or "").partition("#")[2] for link in entries.get_by_role("link").all()]
    assert sorted(shown) == sorted(made)
    # The first and the last are seconds apart; within one second there is no order.
    assert made.index(shown[0]) > made.index(shown[-1])


def test_another_client_gets_proposals_of_their_own(shop: Shop) -> None:
    before = shop.page.locator("#client").text_content()
    shop.page.get_by_role("button", name="Start over as another client").click()

    expect(shop.page.locator("#client")).not_to_have_text(before or "")
    shop.expect_label("Open")


def test_neither_tokens_nor_personal_data_stay_in_the_page_or_its_storage(shop: Shop) -> None:
    tokens: list[str] = []
    shop.page.on(
        "response",
        lambda answer: tokens.append(answer.json()["access_token"]) if answer.url.endswith("/session") else None,
    )
    shop.page.reload()
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Paid")

    kept = shop.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    shown = shop.page.content()
    assert len(tokens) == 1
    for secret in (tokens[0], "client@example.com", "+919876543210", development.RAZORPAY_KEY_SECRET):
        assert secret not in kept
        assert secret not in shown


def test_the_keyboard_is_enough(shop: Shop) -> None:
    shop.pay_button.focus()
    shop.page.keyboard.press("Enter")
    expect(shop.checkout.get_by_role("tab", name="UPI")).to_be_visible(timeout=SLOW_MS)
    shop.page.keyboard.press("Escape")
    shop.page.keyboard.press("Tab")
    shop.checkout.get_by_role("button", name="Yes, leave").focus()
    shop.page.keyboard.press("Enter")

    shop.expect_label("Not paid yet")
    expect(shop.pay_button).to_be_focused()


def test_the_page_is_accessible_before_and_after_a_payment_in_both_colour_schemes(
    shop: Shop, axe: Callable[[Page], None]
) -> None:
    def look() -> None:
        for scheme in COLOUR_SCHEMES:
            # Without the transition from one scheme's colours to the other's.
            shop.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            axe(shop.page)

    look()
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Paid")
    shop.page.get_by_text("Requests of this page").click()
    look()


def test_a_narrow_screen_shows_everything_without_scrolling_sideways(shop: Shop) -> None:
    shop.page.set_viewport_size({"width": 320, "height": 640})
    assert shop.page.evaluate("document.documentElement.scrollWidth") == 320
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    assert shop.page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_page_has_words_for_every_code_that_it_can_meet(shop: Shop) -> None:
    codes = sorted(frontend_codes())
    messages = shop.page.evaluate(
        """async (codes) => {
            const { messageFor } = await import("/static/messages.js");
            const unknown = messageFor({ code: "unheard_of", status: 400 }).text;
            return codes.map((code) => [code, messageFor({ code, status: 400 }), unknown]);
        }""",
        codes,
    )
    for code, message, unknown in messages:
        assert message["next"] in {"pay", "sign-in", "wait", "stop"}, code
        assert code == "invalid_request" or message["text"] != unknown, code
