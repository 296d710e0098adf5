"""The stand-in's Checkout in a real browser, opened by a merchant's page of another origin with its own policy."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import Frame, FrameLocator, Locator, Page, Route, expect

from sandbox.gateway.server import Settings
from tests.browser.conftest import COLOUR_SCHEMES, Problems
from tests.docs.pages import claim
from tests.gateway.gateway import Gateway
from tests.gateway.receiver import wait_until

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script src="{gateway}/v1/checkout.js"></script><script src="/shop.js" defer></script></head>
<body><main><h1>Shop</h1><p>Two cushions.</p><button type="button" id="pay">Buy</button></main></body></html>"""

# A minimal merchant's page that keeps what it received for the tests.
SCRIPT: Final = """
const shop = { paid: [], failed: [], dismissed: 0, log: [] };
shop.make = (options) => {
  const checkout = new Razorpay({
    handler: (response) => { shop.log.push("paid"); shop.paid.push(response); },
    ...options,
    modal: { ...options.modal, ondismiss: () => { shop.log.push("dismissed"); shop.dismissed += 1; } },
  });
  checkout.on("payment.failed", (response) => { shop.log.push("failed"); shop.failed.push(response); });
  return checkout;
};
shop.offer = (options) => {
  shop.checkout = shop.make(options);
  document.getElementById("pay").onclick = () => shop.checkout.open();
};
window.shop = shop;
"""
AXE_IN_A_FRAME: Final = ["Failed to execute 'postMessage' on 'DOMWindow'"]
"""axe queries the parent window, which is of another origin."""
CONTACT: Final = {"name": "Asha Rao", "email": "asha@example.com", "contact": "+919000090000"}


class Merchant:
    """Serves the page and its callback URL on a free port, and keeps what was posted there."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.posted: list[tuple[str, dict[str, str]]] = []
        self.more: dict[str, tuple[str, str]] = {}
        """Other documents by path: type and text."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.elsewhere = f"http://localhost:{self._server.server_port}"
        """The same server under another name: another origin."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def policy(self) -> str:
        return (
            f"default-src 'none'; script-src 'self' {self.gateway.url}; "
            f"frame-src 'self' {self.gateway.url} {self.elsewhere}; "
            "form-action 'self'; base-uri 'none'"
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        merchant = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                match self.path.partition("?")[0]:
                    case "/shop.js":
                        self._answer("text/javascript", SCRIPT)
                    case "/" | "/intruder":
                        self._answer("text/html", PAGE.format(gateway=merchant.gateway.url))
                    case path:
                        self._answer(*merchant.more.get(path, ("text/plain", "")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                merchant.posted.append((self.path, dict(parse_qsl(body, strict_parsing=True))))
                self._answer("text/html", "<!doctype html><html lang=en><title>Thanks</title><h1>Thank you</h1>")

            def _answer(self, content_type: str, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"{content_type}; charset=utf-8")
                self.send_header("Content-Security-Policy", merchant.policy())
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(Settings()) as running:
        yield running


@pytest.fixture(scope="module")
def running_merchant(gateway: Gateway) -> Iterator[Merchant]:
    with Merchant(gateway) as serving:
        yield serving


@pytest.fixture
def merchant(running_merchant: Merchant) -> Merchant:
    running_merchant.posted.clear()
    return running_merchant


class Shop:
    """The merchant's page in the browser, and the checkout it opens."""

    def __init__(self, page: Page, merchant: Merchant) -> None:
        self.page = page
        self.merchant = merchant
        self.gateway = merchant.gateway
        self.order_id: str = self.gateway.order()["id"]
        # Skips the animation of the sheet.
        page.emulate_media(reduced_motion="reduce")
        page.goto(merchant.url)

    def options(self, **changed: Any) -> dict[str, Any]:
        basic = {"key": self.gateway.settings.key_id, "order_id": self.order_id, "name": "Asha Interiors"}
        return {**basic, "description": "Two cushions", "prefill": CONTACT, **changed}

    def open(self, **changed: Any) -> "Shop":
        self.page.evaluate("options => shop.offer(options)", self.options(**changed))
        self.buy.click()
        expect(self.frame.get_by_role("heading", level=1)).to_be_visible()
        return self

    @property
    def buy(self) -> Locator:
        return self.page.get_by_role("button", name="Buy")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog", name="Razorpay Checkout")

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator('iframe[title^="Razorpay Checkout"]')

    @property
    def document(self) -> Frame:
        """The frame by itself, for checks of a whole document."""
        found = self.page.frame(url=re.compile("/v1/checkout/frame"))
        assert found is not None
        return found

    def button(self, name: str) -> Locator:
        return self.frame.get_by_role("button", name=name)

    def title(self, text: str) -> Locator:
        return self.frame.get_by_role("heading", name=text, exact=True)

    @property
    def pay(self) -> Locator:
        return self.button("Pay ₹500.00")

    @property
    def password(self) -> Locator:
        return self.frame.get_by_role("textbox", name="One-time password")

    def by_card(self, otp: str | None = "1234") -> None:
        self.frame.get_by_role("tab", name="Card").click()
        self.button("Visa …1007").click()
        self.pay.click()
        if otp is not None:
            self.password.fill(otp)
            self.button("Submit").click()

    def by_upi(self, answer: str | None = "Approve") -> None:
        """On a desktop: the customer scans the code with their phone."""
        self.frame.get_by_role("tab", name="UPI").click()
        self.pay.click()
        if answer is not None:
            self.button(answer).click()

    def at_the_bank(self, answer: str | None = "Success") -> None:
        self.frame.get_by_role("tab", name="Netbanking").click()
        self.frame.get_by_label("HDFC Bank").check()
        self.pay.click()
        if answer is not None:
            self.button(answer).click()

    def heard(self, name: str) -> Any:
        return self.page.evaluate("name => shop[name]", name)

    def wait_closed(self) -> None:
        self.dialog.wait_for(state="detached")

    def payments(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.gateway.sdk.order.payments(self.order_id)["items"]
        return items


@pytest.fixture
def shop(kept_page: Page, merchant: Merchant) -> Shop:
    return Shop(kept_page, merchant)


# --- paying ---


@pytest.mark.parametrize("way", [Shop.by_card, Shop.by_upi, Shop.at_the_bank])
def test_a_payment_closes_checkout_and_hands_the_page_three_fields_that_verify(
    shop: Shop, way: Callable[[Shop], None]
) -> None:
    way(shop.open())
    shop.wait_closed()
    [response] = shop.heard("paid")
    assert sorted(response) == ["razorpay_order_id", "razorpay_payment_id", "razorpay_signature"]
    assert response["razorpay_order_id"] == shop.order_id
    assert shop.gateway.sdk.utility.verify_payment_signature(response) is True
    assert shop.heard("log") == ["paid"]
    expect(shop.buy).to_be_focused()


def test_the_page_that_the_readme_shows_takes_a_payment(shop: Shop) -> None:
    html, script = claim("sandbox/gateway/README.md", sections=("Checkout, in a browser",))
    given = json.dumps([shop.gateway.settings.key_id, shop.order_id, "Asha Interiors"])
    own = "window.heard = []; const verify = (response) => heard.push(response), tell = verify;"
    loaded = html.text.replace("http://127.0.0.1:8700", shop.gateway.url)
    shop.merchant.more = {
        "/readme": ("text/html", f'<!doctype html><body>{loaded}<script src="/readme.js"></script>'),
        "/readme.js": ("text/javascript", f"const [key, order_id, name] = {given}; {own}\n{script.text}"),
    }
    shop.page.goto(f"{shop.merchant.url}/readme")
    shop.frame.get_by_label("Phone number").fill("98765 43210")
    shop.by_card()
    shop.wait_closed()
    [response] = shop.page.evaluate("heard")
    assert shop.gateway.sdk.utility.verify_payment_signature(response) is True


def test_the_customer_sees_who_asks_for_how_much_and_that_no_money_moves(shop: Shop) -> None:
    shop.open(amount=1, currency="USD")
    expect(shop.title("Asha Interiors")).to_be_visible()
    for text in ("Two cushions", "No money moves", "₹500.00"):
        expect(shop.frame.locator("main").get_by_text(text).first).to_be_visible()


def test_what_the_customer_and_the_page_say_reaches_the_payment(shop: Shop) -> None:
    shop.open(notes={"proposal": "7", "count": 2})
    shop.frame.get_by_label("Phone number").fill("98765 43210")
    shop.by_card()
    shop.wait_closed()
    [payment] = shop.payments()
    expected = {"contact": "+919876543210", "email": "asha@example.com", "description": "Two cushions"}
    assert {**expected, "notes": {"proposal": "7", "count": "2"}}.items() <= payment.items()
    assert (payment["card"]["last4"], payment["card"]["name"]) == ("1007", "Asha Rao")


def test_two_clicks_on_a_button_are_one_payment(shop: Shop) -> None:
    shop.open()
    shop.by_card(otp=None)
    shop.password.fill("1234")
    shop.button("Submit").dblclick()
    shop.wait_closed()
    assert [payment["status"] for payment in shop.payments()] == ["captured"]


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (lambda shop: shop.by_card(otp="123"), "incorrect_otp"),
        (lambda shop: shop.by_upi("Decline"), "payment_failed"),
        (lambda shop: shop.at_the_bank("Failure"), "payment_failed"),
    ],
)
def test_a_failure_is_told_and_the_same_order_can_be_paid_after_it(
    shop: Shop, fail: Callable[[Shop], None], reason: str
) -> None:
    fail(shop.open())
    expect(shop.title("The payment failed")).to_be_focused()
    expect(shop.frame.get_by_text(reason, exact=True)).to_be_visible()
    [response] = shop.heard("failed")
    assert list(response) == ["error"]
    assert sorted(response["error"]) == ["code", "description", "metadata", "reason", "source", "step"]
    [failed] = shop.payments()
    assert response["error"]["metadata"] == {"order_id": shop.order_id, "payment_id": failed["id"]}
    assert response["error"]["reason"] == reason
    shop.button("Try again").click()
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["failed", "paid"]
    assert sorted(payment["status"] for payment in shop.payments()) == ["captured", "failed"]


@pytest.mark.parametrize("method", ["card", "upi", "netbanking"])
def test_a_bank_can_answer_too_late_and_the_payment_is_authorised_by_itself(shop: Shop, method: str) -> None:
    shop.open()
    match method:
        case "card":
            shop.by_card(otp=None)
            shop.button("The bank answers too late").click()
        case "upi":
            shop.by_upi("The bank answers too late")
        case _:
            shop.at_the_bank("The bank answers too late")
    expect(shop.frame.get_by_text("In about 5 seconds")).to_be_visible()
    [payment] = shop.payments()
    assert (payment["status"], shop.heard("failed")[0]["error"]["reason"]) == ("failed", "payment_timed_out")
    if method == "netbanking":
        # The others continue in the same way and would take five seconds each.
        wait_until(lambda: shop.payments()[0]["status"] == "captured", 15, "the bank's late answer")
        assert shop.payments()[0]["id"] == payment["id"]
        assert shop.heard("log") == ["failed"]


def test_an_order_that_is_paid_says_so_and_hands_nothing_over(shop: Shop) -> None:
    shop.gateway.pay(shop.order_id)
    # There is nothing left to lose by leaving.
    shop.open(modal={"confirm_close": True})
    expect(shop.title("This order is already paid")).to_be_focused()
    expect(shop.frame.get_by_text("order_already_paid")).to_be_visible()
    shop.button("Back to the merchant").click()
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed"]


def test_an_order_that_is_paid_while_one_looks_at_it_is_not_paid_twice(shop: Shop) -> None:
    shop.open()
    shop.by_card(otp=None)
    shop.gateway.pay(shop.order_id)
    shop.password.fill("1234")
    shop.button("Submit").click()
    expect(shop.title("This order is already paid")).to_be_visible()
    assert len(shop.payments()) == 1
    assert shop.heard("log") == []


def test_an_authorised_payment_holds_the_order(shop: Shop) -> None:
    shop.order_id = shop.gateway.order(payment={"capture": "manual"})["id"]
    shop.gateway.pay(shop.order_id)
    shop.open()
    shop.by_upi(answer=None)
    expect(shop.title("Another payment is under way")).to_be_visible()
    assert shop.heard("log") == []


# --- UPI as of 28 February 2026 ---

ANDROID: Final = (
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36"
)
IPHONE: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1"
)
HIDE_COLLECT: Final = {"display": {"hide": [{"method": "upi", "flows": ["collect"]}]}}


def on_a_phone(page: Page, merchant: Merchant, user_agent: str) -> Shop:
    page.add_init_script(f"Object.defineProperty(navigator, 'userAgent', {{ get: () => {json.dumps(user_agent)} }});")
    page.set_viewport_size({"width": 390, "height": 844})
    return Shop(page, merchant)


@pytest.mark.parametrize("config", [None, HIDE_COLLECT])
def test_a_desktop_shows_a_qr_code_and_takes_no_upi_id(shop: Shop, config: dict[str, Any] | None) -> None:
    shop.open(config=config)
    shop.by_upi(answer=None)
    expect(shop.title("Scan with any UPI app")).to_be_focused()
    expect(shop.frame.get_by_role("img", name="A picture in place of the QR code")).to_be_visible()
    expect(shop.frame.get_by_label("UPI ID")).to_be_hidden()
    [payment] = shop.payments()
    # The customer who scans it is not known yet.
    assert (payment["status"], payment["vpa"], shop.heard("log")) == ("created", None, [])
    shop.button("Approve").click()
    shop.wait_closed()
    [payment] = shop.payments()
    assert (payment["status"], payment["upi"]["flow"], payment["vpa"]) == ("captured", "intent", "gaurav.kumar@upi")


def test_android_opens_the_customers_app_and_takes_no_upi_id(page: Page, merchant: Merchant) -> None:
    shop = on_a_phone(page, merchant, ANDROID).open()
    shop.by_upi(answer=None)
    expect(shop.frame.get_by_text("Choose an app.")).to_be_visible()
    expect(shop.frame.get_by_label("UPI ID")).to_be_hidden()
    shop.frame.get_by_label("PhonePe").check()
    expect(shop.frame.get_by_text("Choose an app.")).to_be_hidden()
    shop.pay.click()
    expect(shop.title("Approve in PhonePe")).to_be_focused()
    expect(shop.frame.get_by_role("img")).to_have_count(0)
    shop.button("Approve").click()
    shop.wait_closed()
    assert [payment["upi"]["flow"] for payment in shop.payments()] == ["intent"]


@pytest.mark.parametrize(("vpa", "status"), [("success@razorpay", "captured"), ("failure@razorpay", "failed")])
def test_ios_still_takes_a_upi_id(page: Page, merchant: Merchant, vpa: str, status: str) -> None:
    shop = on_a_phone(page, merchant, IPHONE).open()
    shop.frame.get_by_role("tab", name="UPI").click()
    expect(shop.frame.get_by_label("Google Pay")).to_be_visible()
    shop.frame.get_by_role("radio", name="With a UPI ID").check()
    shop.frame.get_by_role("textbox", name="UPI ID").fill("nobody")
    shop.pay.click()
    problem = "Enter a UPI ID such as success@razorpay."
    expect(shop.frame.get_by_role("textbox", name="UPI ID")).to_have_accessible_description(problem)
    shop.button(vpa).click()
    shop.pay.click()
    wait_until(lambda: [payment["status"] for payment in shop.payments()] == [status], 10, f"a {status} payment")
    assert [payment["upi"]["flow"] for payment in shop.payments()] == ["collect"]


def test_a_phones_form_for_upi_is_accessible_in_both_colour_schemes_and_fits(
    page: Page, merchant: Merchant, axe: Callable[[Frame], None], page_problems: Problems
) -> None:
    page_problems.expected = AXE_IN_A_FRAME
    shop = on_a_phone(page, merchant, IPHONE).open(modal={"animation": False})
    shop.frame.get_by_role("tab", name="UPI").click()
    shop.frame.get_by_role("radio", name="With a UPI ID").check()
    for scheme in COLOUR_SCHEMES:
        page.emulate_media(color_scheme=scheme)
        axe(shop.document)
    page.set_viewport_size({"width": 320, "height": 640})
    wide = "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > 320.5).length"
    assert shop.document.evaluate(wide) == 0


def test_a_merchant_hides_collect_on_ios_too(page: Page, merchant: Merchant) -> None:
    shop = on_a_phone(page, merchant, IPHONE).open(config=HIDE_COLLECT)
    shop.frame.get_by_role("tab", name="UPI").click()
    expect(shop.frame.get_by_label("Google Pay")).to_be_visible()
    expect(shop.frame.get_by_role("radio", name="With a UPI ID")).to_have_count(0)
    expect(shop.frame.get_by_role("textbox", name="UPI ID")).to_be_hidden()


@pytest.mark.parametrize(
    ("hide", "left"),
    [
        ([{"method": "upi"}], ["Card", "Netbanking"]),
        ([{"method": "upi", "flows": ["qr", "intent", "collect"]}], ["Card", "Netbanking"]),
        ([{"method": "card"}, {"method": "wallet"}, None], ["UPI", "Netbanking"]),
        ([{"method": "card", "issuers": ["HDFC"]}], ["UPI", "Netbanking"]),
    ],
)
def test_what_a_merchant_hides_is_not_offered(shop: Shop, hide: list[Any], left: list[str]) -> None:
    shop.open(config={"display": {"hide": hide}}, prefill={**CONTACT, "method": "card"})
    expect(shop.pay).to_be_visible()
    tabs = shop.frame.get_by_role("tab")
    expect(tabs).to_have_text(left)
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    tabs.first.press("ArrowLeft")
    expect(tabs.last).to_be_focused()


def test_a_merchant_who_hides_everything_is_told(shop: Shop) -> None:
    methods = ("card", "upi", "netbanking")
    shop.open(config={"display": {"hide": [{"method": method} for method in methods]}})
    expect(shop.frame.get_by_text("The option config.display.hide leaves no way to pay.")).to_be_visible()


def test_a_payment_goes_on_in_the_app_when_checkout_is_closed(shop: Shop) -> None:
    shop.open(modal={"confirm_close": True})
    shop.by_upi(answer=None)
    expect(shop.title("Scan with any UPI app")).to_be_visible()
    close_by_button(shop)
    expect(shop.frame.get_by_text("The payment goes on in your UPI app.")).to_be_visible()
    shop.button("Yes, leave").click()
    shop.wait_closed()
    [payment] = shop.payments()
    assert (payment["status"], shop.heard("log")) == ("created", ["dismissed"])
    shop.gateway.control("POST", f"payments/{payment['id']}/finish", {"outcome": "success"})
    assert [payment["status"] for payment in shop.payments()] == ["captured"]


def test_an_answer_to_a_payment_that_has_ended_meanwhile_is_refused_with_the_reason(
    shop: Shop, page_problems: Problems
) -> None:
    page_problems.expected = ["answer: 400"]
    shop.open()
    shop.by_upi(answer=None)
    expect(shop.title("Scan with any UPI app")).to_be_visible()
    [payment] = shop.payments()
    shop.gateway.control("POST", f"payments/{payment['id']}/finish", {"outcome": "success"})
    shop.button("Approve").click()
    expect(shop.frame.get_by_text("only a created payment waits for its bank")).to_be_visible()


# --- the card form ---


def test_the_card_form_comes_first_and_is_in_view(shop: Shop) -> None:
    shop.open()
    expect(shop.pay).to_be_visible()
    for label in ("Card number", "Expiry", "CVV"):
        expect(shop.frame.get_by_label(label)).to_be_in_viewport(ratio=1)
    order = shop.document.evaluate(
        "[...document.querySelectorAll('#card-number, #indian-cards')].map((element) => element.id)"
    )
    assert order == ["card-number", "indian-cards"]


def test_a_test_card_that_is_chosen_brings_the_form_into_view(shop: Shop) -> None:
    shop.page.set_viewport_size({"width": 390, "height": 640})
    shop.open()
    chip = shop.button("gateway technical error")
    chip.scroll_into_view_if_needed()
    chip.click()
    expect(shop.frame.get_by_label("Card number")).to_have_value("4100 2800 0002 0007")
    expect(shop.frame.get_by_label("Card number")).to_be_in_viewport(ratio=1)


# payments/payments/test-card-details.md, "Error Scenarios": the first card of each reason
ERROR_SCENARIOS: Final = [
    ("insufficient_fund", "0001"),
    ("card_declined", "0003"),
    ("card_disabled_for_online_payments", "0006"),
    ("card_number_invalid", "0008"),
    ("payment_cancelled", "0002"),
    ("payment_timed_out", "0000"),
    ("authentication_failed", "0009"),
    ("gateway_technical_error", "0007"),
]


def test_a_card_for_an_error_scenario_fails_with_its_reason_if_it_is_made_to_fail(shop: Shop) -> None:
    shop.open()
    for reason, _ in ERROR_SCENARIOS:
        shop.button(reason.replace("_", " ")).click()
        shop.pay.click()
        expect(shop.frame.get_by_text(f"fewer than 4 digits, and this card fails with {reason}")).to_be_visible()
        shop.password.fill("12")
        shop.button("Submit").click()
        expect(shop.frame.get_by_text(reason, exact=True)).to_be_visible()
        shop.button("Try again").click()
    failed = [(payment["status"], payment["error_reason"], payment["card"]["last4"]) for payment in shop.payments()]
    assert sorted(failed) == sorted(("failed", *scenario) for scenario in ERROR_SCENARIOS)


def test_after_a_failure_the_customer_goes_back_to_the_merchant_without_being_asked_again(shop: Shop) -> None:
    shop.open(modal={"confirm_close": True})
    shop.by_upi("Decline")
    expect(shop.button("Try again")).to_be_visible()
    shop.button("Back to the merchant").click()
    shop.wait_closed()
    assert shop.heard("log") == ["failed", "dismissed"]


# --- leaving ---


def close_by_button(shop: Shop) -> None:
    shop.button("Close checkout").click()


def close_by_escape(shop: Shop) -> None:
    expect(shop.title("Pay")).to_be_focused()
    shop.page.keyboard.press("Escape")


def click_beside(shop: Shop) -> None:
    shop.page.mouse.click(20, 20)


@pytest.mark.parametrize(
    ("leave", "modal"),
    [
        (close_by_button, {}),
        (close_by_button, {"escape": False}),
        (close_by_escape, {}),
        (click_beside, {"backdropclose": True}),
    ],
)
def test_leaving_is_told_once_and_gives_the_page_back(
    shop: Shop, leave: Callable[[Shop], None], modal: dict[str, bool]
) -> None:
    shop.open(modal=modal)
    assert shop.page.evaluate("document.documentElement.style.overflow") == "hidden"
    expect(shop.pay).to_be_visible()
    leave(shop)
    shop.wait_closed()
    expect(shop.buy).to_be_focused()
    assert shop.heard("log") == ["dismissed"]
    assert shop.page.evaluate("document.documentElement.getAttribute('style')") in {None, ""}


@pytest.mark.parametrize(("leave", "modal"), [(close_by_escape, {"escape": False}), (click_beside, {})])
def test_checkout_stays_where_the_page_wants_it_to(
    shop: Shop, leave: Callable[[Shop], None], modal: dict[str, bool]
) -> None:
    shop.open(modal=modal)
    expect(shop.pay).to_be_visible()
    leave(shop)
    # A message to the page would have arrived before this payment.
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["paid"]


@pytest.mark.parametrize("leave", [close_by_button, close_by_escape])
def test_leaving_is_asked_about_where_the_page_wants_it(shop: Shop, leave: Callable[[Shop], None]) -> None:
    shop.open(modal={"confirm_close": True})
    leave(shop)
    expect(shop.title("Leave without paying?")).to_be_focused()
    shop.button("Continue the payment").click()
    leave(shop)
    shop.page.keyboard.press("Escape")
    expect(shop.pay).to_be_visible()
    assert shop.heard("log") == []
    leave(shop)
    shop.button("Yes, leave").click()
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed"]


def test_without_retry_a_failure_closes_checkout_and_tells_both(shop: Shop) -> None:
    shop.open(retry={"enabled": False})
    shop.by_upi("Decline")
    shop.wait_closed()
    assert shop.heard("log") == ["failed", "dismissed"]


def test_a_timeout_closes_checkout_and_leaves_the_order_payable(page: Page, merchant: Merchant) -> None:
    shop = Shop(page, merchant)
    page.clock.install()
    shop.open(timeout=600)
    shop.page.clock.fast_forward("10:00")
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed"]
    shop.open(timeout=600)
    shop.by_upi()
    shop.wait_closed()
    shop.page.clock.fast_forward("10:00")
    assert shop.heard("log") == ["dismissed", "paid"]


def test_the_page_can_close_checkout_and_open_it_again(shop: Shop) -> None:
    shop.open()
    shop.page.evaluate("shop.checkout.close()")
    shop.wait_closed()
    assert shop.heard("log") == []
    shop.buy.click()
    close_by_button(shop)
    shop.buy.click()
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed", "paid"]


# --- a callback URL ---


def test_with_a_callback_url_the_three_fields_are_posted_there(shop: Shop) -> None:
    shop.open(callback_url="/callback?cart=7&from=shop")
    shop.by_card()
    expect(shop.page.get_by_role("heading", name="Thank you")).to_be_visible()
    [(path, fields)] = shop.merchant.posted
    assert path == "/callback?cart=7&from=shop"
    assert sorted(fields) == ["razorpay_order_id", "razorpay_payment_id", "razorpay_signature"]
    assert shop.gateway.sdk.utility.verify_payment_signature(fields) is True


def test_with_a_callback_url_and_redirect_a_failure_is_posted_there_too(shop: Shop) -> None:
    shop.open(callback_url=f"{shop.merchant.url}/callback?cart=7", redirect=True)
    shop.by_card(otp="12")
    expect(shop.page.get_by_role("heading", name="Thank you")).to_be_visible()
    [(path, fields)] = shop.merchant.posted
    assert path == "/callback?cart=7"
    [failed] = shop.payments()
    assert json.loads(fields.pop("error[metadata]")) == {"order_id": shop.order_id, "payment_id": failed["id"]}
    assert fields == {
        "error[code]": failed["error_code"],
        "error[description]": failed["error_description"],
        "error[source]": failed["error_source"],
        "error[step]": failed["error_step"],
        "error[reason]": "incorrect_otp",
    }


def test_with_a_callback_url_alone_a_failure_stays_in_checkout(shop: Shop) -> None:
    shop.open(callback_url="/callback")
    shop.by_upi("Decline")
    expect(shop.button("Try again")).to_be_visible()
    assert (shop.heard("log"), shop.merchant.posted) == (["failed"], [])


# --- options ---


def test_what_is_known_of_the_customer_is_filled_in_and_can_be_changed(shop: Shop) -> None:
    shop.open(prefill={**CONTACT, "contact": "9000090000", "method": "netbanking"})
    expect(shop.frame.get_by_label("Phone number")).to_have_value("+919000090000")
    expect(shop.frame.get_by_label("E-mail")).to_have_value("asha@example.com")
    expect(shop.frame.get_by_role("tab", name="Netbanking")).to_have_attribute("aria-selected", "true")
    expect(shop.frame.get_by_label("Phone number")).to_be_editable()
    shop.frame.get_by_role("tab", name="Card").click()
    expect(shop.frame.get_by_label("Name on the card")).to_have_value("Asha Rao")


def test_a_method_is_chosen_beforehand_only_for_a_known_customer(shop: Shop) -> None:
    shop.open(prefill={"email": "asha@example.com", "method": "upi"})
    expect(shop.frame.get_by_role("tab", name="Card")).to_have_attribute("aria-selected", "true")


def test_what_is_read_only_cannot_be_changed_unless_it_is_missing(shop: Shop) -> None:
    everything = {"contact": True, "email": True, "name": True}
    shop.open(readonly=everything, prefill={**CONTACT, "email": ""})
    expect(shop.frame.get_by_label("Phone number")).not_to_be_editable()
    expect(shop.frame.get_by_label("Name on the card")).not_to_be_editable()
    expect(shop.frame.get_by_label("E-mail")).to_be_editable()
    shop.by_card()
    shop.wait_closed()
    assert shop.payments()[0]["contact"] == CONTACT["contact"]


def test_the_merchants_image_is_shown_if_it_is_of_this_machine(shop: Shop) -> None:
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    for image, shown in ((pixel, True), ("https://shop.example/logo.png", False)):
        shop.open(image=image)
        expect(shop.pay).to_be_visible()
        expect(shop.frame.locator("#logo")).to_be_visible(visible=shown)
        close_by_button(shop)
        shop.wait_closed()


def test_the_merchants_colour_is_used_with_text_that_reads_on_it(
    shop: Shop, axe: Callable[[Frame], None], page_problems: Problems
) -> None:
    page_problems.expected = AXE_IN_A_FRAME
    for color, ink in (("#F37254", "rgb(0, 0, 0)"), ("#0b3d2e", "rgb(255, 255, 255)")):
        shop.open(theme={"color": color})
        expect(shop.pay).to_have_css("color", ink)
        axe(shop.document)
        close_by_button(shop)
        shop.wait_closed()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"key": None}, 'the option "key" is missing'),
        ({"order_id": ""}, 'the option "order_id" is missing'),
        ({"timeout": 0}, 'the option "timeout" must be'),
        ({"callback_url": "javascript:alert(1)"}, 'the option "callback_url" must begin with'),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_reason(
    shop: Shop, changed: dict[str, Any], complaint: str
) -> None:
    told = shop.page.evaluate(
        "options => { try { shop.make(options); } catch (error) { return error.message; } }", shop.options(**changed)
    )
    assert complaint in told


def test_options_that_it_does_not_know_are_ignored(shop: Shop) -> None:
    shop.open(config={"display": {"language": "en"}}, remember_customer=True, retry={"max_count": 4}, notes=[])
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["paid"]


# --- a page with mistakes ---


def test_there_is_one_checkout_at_a_time(shop: Shop) -> None:
    shop.open()
    told = shop.page.evaluate(
        """options => {
             shop.checkout.open();
             shop.make(options).close();
             try { shop.make(options).open(); } catch (error) { return error.message; }
           }""",
        shop.options(),
    )
    assert "another checkout is open" in told
    expect(shop.dialog).to_have_count(1)
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["paid"]


def test_a_callback_that_throws_is_reported_and_breaks_nothing_else(shop: Shop, page_problems: Problems) -> None:
    page_problems.expected = ["exception: the shop's mistake"]
    shop.page.evaluate(
        """options => {
             const mistake = () => { throw new Error("the shop's mistake"); };
             shop.checkout = new Razorpay({ ...options, handler: mistake });
             shop.checkout.on("payment.failed", mistake);
             shop.checkout.on("payment.failed", () => shop.log.push("heard by the next"));
             document.getElementById("pay").onclick = () => shop.checkout.open();
           }""",
        shop.options(),
    )
    shop.buy.click()
    shop.by_upi("Decline")
    shop.button("Try again").click()
    shop.by_upi()
    shop.wait_closed()
    expect(shop.buy).to_be_focused()
    assert shop.heard("log") == ["heard by the next"]
    assert [problem for problem in page_problems.seen if "mistake" in problem] == page_problems.expected * 2


def test_a_wrong_key_is_told_in_the_frame(shop: Shop, page_problems: Problems) -> None:
    page_problems.expected = ["answer: 400"]
    shop.open(key="rzp_test_another")
    expect(shop.title("This order cannot be paid")).to_be_visible()
    expect(shop.frame.get_by_text("The api key provided is invalid")).to_be_visible()
    close_by_button(shop)
    shop.wait_closed()


def test_an_unknown_order_is_told_in_the_frame(shop: Shop, page_problems: Problems) -> None:
    page_problems.expected = ["answer: 400"]
    shop.open(order_id="order_00000000000000")
    expect(shop.frame.get_by_text("The id provided does not exist")).to_be_visible()


def test_a_frame_that_cannot_be_loaded_does_not_hold_the_customer(shop: Shop, page_problems: Problems) -> None:
    page_problems.expected = ["did not answer. Is the stand-in running"]
    shop.page.route("**/v1/checkout/frame", lambda route: route.abort())
    shop.page.evaluate("options => shop.offer(options)", shop.options())
    shop.buy.click()
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed"]


def test_escape_works_before_the_frame_has_come(shop: Shop) -> None:
    hold(shop.page, "**/v1/checkout/frame")
    shop.page.evaluate("options => shop.offer(options)", shop.options())
    shop.buy.click()
    expect(shop.dialog).to_be_visible()
    shop.page.keyboard.press("Escape")
    shop.wait_closed()
    assert shop.heard("log") == ["dismissed"]


# --- messages ---

FORGED: Final = [
    {
        "type": "paid",
        "response": dict.fromkeys(("razorpay_payment_id", "razorpay_order_id", "razorpay_signature"), "x"),
    },
    {"type": "failed", "error": {"code": "forged", "metadata": {}}},
    {"type": "dismissed"},
]


def add_frame(shop: Shop, url: str) -> Frame:
    with shop.page.expect_event("framenavigated", lambda frame: frame.url.startswith(url.partition("#")[0])) as found:
        shop.page.evaluate(
            "url => { const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame); }",
            url,
        )
    navigated: Frame = found.value
    return navigated


def test_nobody_but_the_frame_can_tell_the_page_of_a_payment(shop: Shop) -> None:
    foreign = add_frame(shop, f"{shop.merchant.elsewhere}/intruder")
    # Of the stand-in's origin, but not the frame that this checkout opened.
    twin = add_frame(shop, f"{shop.gateway.url}/v1/checkout.js")
    shop.open()
    expect(shop.pay).to_be_visible()
    for message in FORGED:
        for teller in (foreign, twin):
            teller.evaluate("message => window.parent.postMessage(message, '*')", message)
        shop.page.evaluate("message => window.postMessage(message, '*')", message)
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["paid"]
    assert shop.gateway.sdk.utility.verify_payment_signature(shop.heard("paid")[0]) is True


def test_a_frame_that_has_moved_to_another_origin_is_believed_no_more(shop: Shop) -> None:
    shop.open()
    with shop.page.expect_event("framenavigated", lambda frame: frame.url.endswith("/intruder")) as found:
        shop.page.evaluate(
            "url => { document.querySelector('dialog iframe').src = url; }", f"{shop.merchant.elsewhere}/intruder"
        )
    for message in FORGED:
        found.value.evaluate("message => window.parent.postMessage(message, '*')", message)
    # An accepted message would have closed it, and its event would have arrived before this.
    assert shop.page.evaluate("new Promise((done) => setTimeout(() => done(shop.log)))") == []
    expect(shop.dialog).to_be_visible()


def test_nobody_but_the_page_can_tell_the_frame_what_to_do(shop: Shop) -> None:
    # Another origin, and one of the page's frames.
    tellers = [add_frame(shop, f"{host}/intruder") for host in (shop.merchant.elsewhere, shop.merchant.url)]
    shop.open()
    expect(shop.pay).to_be_visible()
    for teller in tellers:
        teller.evaluate(
            """options => {
                 for (const frame of [...Array(parent.length).keys()].map((at) => parent[at])) {
                   frame.postMessage({ type: "open", options }, "*");
                   frame.postMessage({ type: "escape" }, "*");
                 }
               }""",
            {"name": "Somebody else"},
        )
    expect(shop.title("Asha Interiors")).to_be_visible()
    shop.by_upi()
    shop.wait_closed()
    assert shop.heard("log") == ["paid"]


def test_a_page_that_says_it_is_another_is_told_nothing(shop: Shop, page_problems: Problems) -> None:
    page_problems.expected = ["does not match the recipient window's origin"]
    lied_to = add_frame(shop, f"{shop.gateway.url}/v1/checkout/frame#{shop.merchant.elsewhere}")
    lied_to.wait_for_load_state()
    lied_to.page.evaluate(
        "options => window.frames[0].postMessage({ type: 'open', options }, '*')", {"name": "Somebody else"}
    )
    expect(lied_to.get_by_role("main")).to_be_hidden()


def test_the_frame_by_itself_says_where_it_belongs(page: Page, merchant: Merchant) -> None:
    page.goto(f"{merchant.gateway.url}/v1/checkout/frame")
    expect(page.get_by_text("This page belongs in a merchant's page")).to_be_visible()


# --- accessibility ---


def tab_to(page: Page, wanted: Locator) -> None:
    for _ in range(40):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not come to {wanted}")


def test_a_keyboard_is_enough(shop: Shop) -> None:
    page, frame = shop.page, shop.frame
    page.evaluate("options => shop.offer(options)", shop.options())
    tab_to(page, shop.buy)
    page.keyboard.press("Enter")
    expect(shop.title("Pay")).to_be_focused()
    tab_to(page, frame.get_by_role("tab", name="Card"))
    page.keyboard.press("End")
    expect(frame.get_by_role("tab", name="Netbanking")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("tab", name="Card")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(frame.get_by_role("tab", name="UPI")).to_have_attribute("aria-selected", "true")
    tab_to(page, shop.pay)
    page.keyboard.press("Enter")
    expect(shop.title("Scan with any UPI app")).to_be_focused()
    tab_to(page, shop.button("Decline"))
    page.keyboard.press("Enter")
    expect(shop.title("The payment failed")).to_be_focused()
    page.keyboard.press("Tab")
    expect(shop.button("Try again")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, frame.get_by_role("tab", name="UPI"))
    page.keyboard.press("ArrowLeft")
    tab_to(page, shop.button("RuPay …1005"))
    page.keyboard.press("Space")
    tab_to(page, shop.pay)
    page.keyboard.press("Enter")
    expect(shop.password).to_be_focused()
    page.keyboard.type("123456")
    page.keyboard.press("Enter")
    shop.wait_closed()
    expect(shop.buy).to_be_focused()
    assert shop.heard("log") == ["failed", "paid"]


def test_the_focus_stays_in_checkout(shop: Shop) -> None:
    shop.open()
    expect(shop.title("Pay")).to_be_focused()
    for key in ("Tab", "Shift+Tab"):
        places = []
        for _ in range(60):
            shop.page.keyboard.press(key)
            places.append(shop.document.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert shop.page.evaluate("document.activeElement.tagName") == "IFRAME"
        assert places.count("close") > 1, "it goes round"
        assert "" not in places


def test_what_is_wrong_is_said_beside_the_field_and_announced(shop: Shop) -> None:
    shop.open(prefill={"contact": "12"})
    frame = shop.frame
    frame.get_by_label("Card number").fill("4111 1111 1111 1112")
    frame.get_by_label("Expiry").fill("0120")
    shop.pay.click()
    expect(frame.get_by_label("Phone number")).to_be_focused()
    expect(frame.get_by_role("status")).to_have_text("5 fields need attention.")
    for label, problem in {
        "Phone number": "A phone number has 8 to 15 digits",
        "Card number": "This is no card number",
        "Expiry": "This card has expired",
        "CVV": "Enter the 3 digits",
        "Name on the card": "Enter the name",
    }.items():
        expect(frame.get_by_label(label)).to_have_attribute("aria-invalid", "true")
        expect(frame.get_by_label(label)).to_have_accessible_description(re.compile(problem))
    frame.get_by_role("tab", name="Netbanking").click()
    frame.get_by_label("Phone number").fill("9876543210")
    shop.pay.click()
    expect(frame.get_by_text("Choose a bank.")).to_be_visible()
    expect(frame.get_by_label("HDFC Bank")).to_be_focused()
    shop.by_card(otp="12345678901")
    expect(shop.password).to_have_accessible_description(re.compile("Enter 1 to 10 digits"))
    assert shop.payments() == []


def test_what_was_wrong_is_no_longer_said_once_it_is_right(shop: Shop) -> None:
    shop.open(prefill={"contact": "12"})
    frame = shop.frame
    shop.pay.click()
    expect(frame.get_by_role("status")).to_have_text("5 fields need attention.")
    for label, wrong, right in (
        ("Phone number", "123", "9876543210"),
        ("Card number", "4100 2800 0000 1008", "4100 2800 0000 1007"),
        ("Expiry", "0120", "12/68"),
        ("CVV", "12", "123"),
        ("Name on the card", " ", "Asha Rao"),
    ):
        field = frame.get_by_label(label)
        field.fill(wrong)
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill(right)
        expect(field).to_have_attribute("aria-invalid", "false")
        expect(frame.locator(f"#{field.get_attribute('id')}-error")).to_be_hidden()
    expect(frame.get_by_role("status")).to_have_text("")
    frame.get_by_role("tab", name="Netbanking").click()
    shop.pay.click()
    expect(frame.get_by_text("Choose a bank.")).to_be_visible()
    frame.get_by_label("HDFC Bank").check()
    expect(frame.get_by_text("Choose a bank.")).to_be_hidden()
    shop.by_card(otp="12345678901")
    shop.password.fill("1234")
    expect(frame.get_by_text("Enter 1 to 10 digits.")).to_be_hidden()


def hold(page: Page, urls: str) -> Callable[[], None]:
    """Keep requests from leaving until the returned function lets them go."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    def let_go() -> None:
        for route in held:
            route.continue_()
        page.unroute(urls)

    page.route(urls, keep)
    return let_go


def walk(shop: Shop, look: Callable[[str], None]) -> None:
    """Check every screen of the frame."""
    let_go = hold(shop.page, "**/v1/checkout/orders/**")
    shop.open(modal={"confirm_close": True, "animation": False})
    expect(shop.title("Loading the order…")).to_be_visible()
    look("loading")
    let_go()
    for tab in ("Card", "Netbanking"):
        shop.frame.get_by_role("tab", name=tab).click()
        shop.pay.click()
        expect(shop.frame.get_by_role("status")).to_contain_text("attention")
        look(f"{tab} with problems")
    shop.by_upi(answer=None)
    expect(shop.frame.get_by_role("img", name="A picture in place of the QR code")).to_be_visible()
    look("UPI app")
    shop.button("Back").click()
    shop.by_card(otp=None)
    look("one-time password")
    shop.button("Back").click()
    shop.at_the_bank(answer=None)
    look("bank")
    let_go = hold(shop.page, "**/v1/checkout/payments")
    shop.button("The bank answers too late").click()
    expect(shop.title("Paying…")).to_be_visible()
    look("processing")
    let_go()
    expect(shop.button("Try again")).to_be_visible()
    look("failed")
    close_by_button(shop)
    look("confirm")
    shop.button("Yes, leave").click()
    shop.wait_closed()
    shop.order_id = shop.gateway.order()["id"]
    shop.gateway.pay(shop.order_id)
    shop.open(modal={"animation": False})
    expect(shop.title("This order is already paid")).to_be_visible()
    look("refused")


def test_every_screen_is_accessible_in_both_colour_schemes(
    shop: Shop, axe: Callable[[Page | Frame], None], page_problems: Problems
) -> None:
    page_problems.expected = AXE_IN_A_FRAME

    def look(_screen: str) -> None:
        for scheme in COLOUR_SCHEMES:
            shop.page.emulate_media(color_scheme=scheme)
            axe(shop.document)

    walk(shop, look)
    axe(shop.page)


def test_every_screen_fits_a_narrow_window(shop: Shop) -> None:
    heights = (640, 480)
    widths: dict[tuple[str, int], list[str]] = {}

    def look(screen: str) -> None:
        for height in heights:
            shop.page.set_viewport_size({"width": 320, "height": height})
            widths[screen, height] = shop.document.evaluate(
                """() => [...document.querySelectorAll("*")]
                     .filter((element) => element.checkVisibility() && !element.closest(".for-readers"))
                     .filter((element) => element.getBoundingClientRect().right > 320.5
                       || element.scrollWidth > element.clientWidth + 1
                       && getComputedStyle(element).overflowX !== "visible" && element.tagName !== "INPUT")
                     .map((element) => element.outerHTML.slice(0, 80))"""
            )

    shop.page.set_viewport_size({"width": 320, "height": heights[0]})
    walk(shop, look)
    assert {place: elements for place, elements in widths.items() if elements} == {}
    assert len(widths) == 10 * len(heights)
