"""The React example in a real browser, on the deployed service: the shop's modules inside a framework."""

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sandbox.cloud.service import LocalService
from tests.browser.test_shop import Shop

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples/react"


class ReactShop(Shop):
    """The service, with the example's origin allowed."""

    def open(self) -> None:
        self.page.goto(f"{self.service.endpoints['shop']}/react/")
        expect(self.card).to_be_visible()


@pytest.fixture(scope="module")
def built() -> Path:
    make = shutil.which("make")
    assert make is not None
    subprocess.run([make, "--silent", "react"], cwd=PROJECT, check=True, timeout=300)  # noqa: S603 - our own target
    return EXAMPLE / "build/main.js"


@pytest.fixture
def shop(page: Page, local_service: LocalService, built: Path) -> ReactShop:
    assert built.is_file()
    made = ReactShop(page, local_service)
    made.open()
    return made


def test_a_client_pays_in_a_component_and_sees_it_confirmed(shop: ReactShop) -> None:
    expect(shop.pay_button).to_have_text("Accept and pay ₹2,500.00")
    shop.open_checkout()
    shop.pay_by_upi()

    shop.expect_label("Paid")
    shop.expect_status("Razorpay has confirmed your payment.")
    expect(shop.pay_button).to_have_count(0)
    assert len(shop.calls("/create-order/")) == 1

    shop.page.reload()
    shop.expect_label("Paid")


def test_a_component_goes_on_with_the_order_after_a_dismissal_and_a_reload(shop: ReactShop) -> None:
    shop.open_checkout()
    shop.pay_by_upi("Decline")
    shop.checkout.get_by_role("button", name="Back to the merchant").click()
    shop.expect_label("Not paid yet")
    shop.expect_status("The last attempt failed:")
    shop.page.reload()

    shop.expect_status("The last attempt failed. You can try again, on the same order.")
    shop.open_checkout()
    shop.pay_by_upi()
    shop.expect_label("Paid")
    orders = {call.rsplit("/", 2)[1] for call in shop.calls("/api/payments/order_")}
    assert len(orders) == 1
