"""The live view in a browser, on the deployed service: every scenario, and payments made elsewhere."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Frame, Locator, Page, Route, expect

from sandbox.cloud.service import LocalService
from sandbox.live.scenarios import SCENARIOS
from tests.browser.conftest import COLOUR_SCHEMES, PATIENCE_MS, Problems
from tests.e2e.platform_client import Platform

pytestmark = pytest.mark.timeout(240)

SCENARIO_MS = 200_000
"""A scenario gives up after two minutes or more; it always shows a verdict."""


@pytest.fixture
def address(local_service: LocalService) -> str:
    return f"{local_service.endpoints['shop']}/live/"


@pytest.fixture
def platform(local_service: LocalService) -> Platform:
    return Platform(local_service)


@pytest.fixture
def page(kept_page: Page) -> Page:
    return kept_page


def visit(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("Live", timeout=PATIENCE_MS)


def play(page: Page, name: str) -> Locator:
    """Presses a scenario's button and returns the verdict's element."""
    page.get_by_role("button", name=SCENARIOS[name].title, exact=True).click()
    return page.locator("#verdict")


def card(page: Page, order_id: str) -> Locator:
    return page.locator("article.payment").filter(has_text=order_id)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_that_is_played_ends_with_all_its_expectations_met(page: Page, address: str, name: str) -> None:
    visit(page, address)

    verdict = play(page, name)

    count = len(SCENARIOS[name].expectations)
    expect(verdict).to_contain_text("met.", timeout=SCENARIO_MS)
    unmet = page.locator("#play [data-state='not_met'], #play [data-state='failed']").all_inner_texts()
    assert (verdict.inner_text(), unmet) == (f"{SCENARIOS[name].title}: all {count} expectations met.", [])
    expect(page.locator("#play [data-part='steps'] > [data-state='done']")).to_have_count(len(SCENARIOS[name].steps))
    # The page also shows its payment, with the timeline open.
    order_id = (page.locator("#play [data-part='order']").get_attribute("href") or "").removeprefix("#")
    expect(card(page, order_id).locator(".timeline li").first).to_be_visible()


def test_a_payment_made_elsewhere_shows_up_and_goes_on_without_a_reload(
    page: Page, address: str, platform: Platform
) -> None:
    visit(page, address)

    order_id = platform.create_order().json()["order_id"]
    shown = card(page, order_id)
    expect(shown.locator("[data-part=status]")).to_have_text("Created")
    checkout = platform.pay(order_id).json()
    platform.verify(checkout)

    expect(shown.locator("[data-part=status]")).to_have_text("Paid, confirmed")
    shown.locator("summary").click()
    for title in (
        "Payment by card captured",
        "payment.authorized answered 200",
        "Signature is valid",
        "payment.paid recorded",
        "Notification noted payment.paid",
    ):
        expect(shown.locator(".title", has_text=re.compile(f"^{title}$"))).to_be_visible()
    for inbox in page.locator(".inbox").all():
        expect(inbox).to_contain_text(order_id)


def test_an_update_leaves_opened_details_focus_and_the_place_on_the_page_alone(
    page: Page, address: str, platform: Platform, local_service: LocalService
) -> None:
    order_id = platform.create_order().json()["order_id"]
    visit(page, address)
    shown = card(page, order_id)
    summary = shown.locator("summary")
    if not shown.locator("details").evaluate("details => details.open"):
        summary.click()
    summary.focus()
    summary.evaluate("summary => window.scrollTo(0, summary.getBoundingClientRect().top + window.scrollY - 100)")
    before = summary.evaluate("summary => summary.getBoundingClientRect().top")

    other = Platform(local_service).create_order().json()["order_id"]
    expect(card(page, other)).to_be_attached()
    platform.pay(order_id)
    expect(shown.locator("[data-part=status]")).to_have_text("Paid, confirmed")

    assert shown.locator("details").evaluate("details => details.open")
    expect(summary).to_be_focused()
    assert summary.evaluate("summary => summary.getBoundingClientRect().top") == pytest.approx(before, abs=2)


def test_the_shops_link_shows_one_payment_alone_and_another_all_of_them(
    page: Page, address: str, platform: Platform, local_service: LocalService
) -> None:
    order_id = platform.create_order().json()["order_id"]
    other = Platform(local_service).create_order().json()["order_id"]

    visit(page, f"{address}#{order_id}")

    expect(card(page, order_id).locator(".timeline li").first).to_be_visible()
    expect(card(page, other)).to_have_count(0)
    page.get_by_role("link", name="Show all payments").click()
    expect(card(page, other)).to_be_visible()
    expect(card(page, order_id)).to_be_visible()


def test_its_payment_comes_into_view_however_often_it_is_asked_for(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    visit(page, address)
    expect(play(page, "refunds")).to_contain_text("met.", timeout=SCENARIO_MS)
    link = page.get_by_role("link", name="Its payment")
    order_id = (link.get_attribute("href") or "").removeprefix("#")

    for _ in range(2):
        page.evaluate("window.scrollTo(0, 0)")
        link.click()
        expect(card(page, order_id).locator("[data-part=amount]")).to_be_in_viewport()
    # Keyboard users continue from there.
    link.press("Enter")
    expect(card(page, order_id)).to_be_focused()


def test_the_shops_link_brings_its_payment_into_view(page: Page, address: str, platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]
    page.set_viewport_size({"width": 1280, "height": 500})

    visit(page, f"{address}#{order_id}")

    expect(card(page, order_id).locator("[data-part=amount]")).to_be_in_viewport()


def test_a_payment_that_a_person_should_look_at_says_so_in_its_head(
    page: Page, address: str, platform: Platform
) -> None:
    order_id = platform.create_order().json()["order_id"]
    platform.pay(order_id, amount=10_000)
    visit(page, f"{address}#{order_id}")

    shown = card(page, order_id)
    badge = shown.locator("header [data-part=reviews]")
    expect(badge).to_have_text("To be looked at: amount mismatch")
    expect(badge).to_have_attribute("data-tone", "warn")
    expect(badge).to_be_visible()
    # The page also says who is notified.
    event = shown.locator(".timeline li").filter(has_text="payment.review recorded")
    expect(event).to_contain_text("published · for the operators, in the review queue")


def test_a_superseded_order_is_shown_as_one(page: Page, address: str, platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]
    newer = platform.create_order(amount="1.00").json()["order_id"]
    visit(page, f"{address}#{order_id}")

    shown = card(page, order_id)
    expect(shown.locator("header [data-part=superseded]")).to_be_visible()
    expect(shown.locator("[data-part=facts]")).to_contain_text(f"superseded by {newer}")
    page.get_by_role("link", name="Show all payments").click()
    expect(card(page, newer).locator("header [data-part=superseded]").first).to_be_hidden()


def test_times_have_one_format(page: Page, address: str, platform: Platform) -> None:
    order_id = platform.create_order().json()["order_id"]
    platform.verify(platform.pay(order_id).json())
    visit(page, f"{address}#{order_id}")
    expect(card(page, order_id).locator("[data-part=status]")).to_have_text("Paid, confirmed")
    expect(card(page, order_id).locator(".timeline li", has_text="Notification noted payment.paid")).to_be_visible()

    times = page.locator("time").all_inner_texts()
    assert len(times) > 5
    assert [told for told in times if not re.fullmatch(r"\d\d:\d\d:\d\d", told)] == []


def test_a_payment_that_is_not_there_is_said_to_be_missing(page: Page, address: str) -> None:
    visit(page, f"{address}#order_00000000000000")

    expect(page.locator("#nothing")).to_have_text("order_00000000000000 is not among the newest payments.")


def test_a_second_press_while_a_scenario_plays_is_answered_and_does_nothing(page: Page, address: str) -> None:
    visit(page, address)
    play(page, "webhooks-withheld")
    expect(page.locator("#play > header [data-part='state']")).to_have_text("Playing …")

    # By key: Playwright's click would wait, because the button is marked as disabled.
    page.get_by_role("button", name="Part refund, then full", exact=True).press("Enter")

    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("is being played; wait until it has ended.")
    expect(verdict).to_contain_text("Webhooks withheld, then reconcile: all", timeout=SCENARIO_MS)


def test_a_press_that_the_server_refuses_says_why(page: Page, address: str, page_problems: Problems) -> None:
    page_problems.expected.append("answer: 409")
    visit(page, address)

    def refuse(route: Route) -> None:
        route.fulfill(status=409, json={"detail": "“Out of order” is being played; wait until it has ended."})

    page.route("**/live/scenarios/refunds", refuse)

    expect(play(page, "refunds")).to_have_text("“Out of order” is being played; wait until it has ended.")


def test_a_scenario_is_played_by_keyboard_and_the_button_keeps_the_focus(page: Page, address: str) -> None:
    visit(page, address)
    button = page.get_by_role("button", name="Amount mismatch", exact=True)
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")

    page.keyboard.press("Enter")

    expect(page.locator("#verdict")).to_have_text("Amount mismatch: all 8 expectations met.", timeout=SCENARIO_MS)
    expect(button).to_be_focused()


def test_a_lost_connection_is_said_and_made_again(page: Page, address: str) -> None:
    page.route("**/live/stream", lambda route: route.abort())
    page.goto(address)
    expect(page.locator("#connection")).to_have_text("Connection lost, trying again …")

    page.unroute("**/live/stream")

    expect(page.locator("#connection")).to_have_text("Live", timeout=PATIENCE_MS)


def test_the_page_is_accessible_in_both_colour_schemes(
    page: Page, address: str, axe: Callable[[Page | Frame], None]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    visit(page, address)
    expect(play(page, "amount-mismatch")).to_contain_text("met.", timeout=SCENARIO_MS)
    page.locator("article.payment").nth(1).locator("summary").click()

    for scheme in COLOUR_SCHEMES:
        page.emulate_media(color_scheme=scheme)
        axe(page)


def test_the_page_fits_a_narrow_screen(page: Page, address: str, axe: Callable[[Page | Frame], None]) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    visit(page, address)
    expect(play(page, "refunds")).to_contain_text("met.", timeout=SCENARIO_MS)
    expect(page.locator("article.payment .timeline li").first).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == 320
    axe(page)
