"""Regenerate the screenshots in the README: `make screenshots`.

Starts a service of its own on free ports, pays in a real browser, plays a scenario in the live view, and takes each
page's screenshot in light and dark. It does not touch what `make run` serves, and leaves nothing running.
"""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox import proxies, terminal
from sandbox.cloud.build import PROJECT
from sandbox.cloud.service import LocalService

FOLDER: Final = PROJECT / "docs/images"
CHROMIUM_FILE: Final = PROJECT / ".venvs/chromium"
SCENARIO: Final = "Fail, then succeed"
PATIENCE_MS: Final = 60_000
"""Cold starts of every function on a slow machine."""
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> int:
    """Return 0 once every screenshot is written."""
    console = terminal.console()
    proxies.bypass_for_this_machine()
    browser_path = os.environ.get("CHROMIUM") or CHROMIUM_FILE.read_text().strip()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        with console.status("Starting the service …"):
            service = LocalService.start(Path(folder))
        with service, sync_playwright() as playwright:
            # Chromium's own sandbox needs privileges that root in a container does not have. It only visits this
            # machine.
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            with console.status("Paying, and taking screenshots …"):
                _take(browser, service.endpoints["shop"])
            browser.close()
    for picture in sorted(FOLDER.glob("*.png")):
        console.print(f"{picture.relative_to(PROJECT)}  {picture.stat().st_size // 1024} KiB")
    return 0


def _take(browser: Browser, shop: str) -> None:
    page = browser.new_page(locale="en-IN", timezone_id="Asia/Kolkata", viewport={"width": 1200, "height": 760})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(shop)
    first = page.get_by_role("article").nth(0)
    first.get_by_role("button").click()
    checkout = page.frame_locator("iframe")
    checkout.get_by_role("button", name="Visa …1007").click()
    _photograph(page, "checkout")
    checkout.get_by_role("tab", name="UPI").click()
    checkout.get_by_role("button", name=re.compile("^Pay ")).click()
    checkout.get_by_role("button", name="Approve").click()
    expect(first.locator("[data-part=label]")).to_have_text("Paid")
    _photograph(page, "shop")
    page.set_viewport_size({"width": 1200, "height": 1500})
    page.goto(f"{shop}/live/")
    page.get_by_role("button", name=SCENARIO).click()
    expect(page.get_by_role("status").filter(has_text=f"{SCENARIO}: all")).to_be_visible()
    _photograph(page, "live")


def _photograph(page: Page, name: str) -> None:
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.screenshot(path=FOLDER / f"{name}-{scheme}.png", animations="disabled")


if __name__ == "__main__":
    sys.exit(main())
