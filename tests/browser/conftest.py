"""A real browser, driven by Playwright: Debian's Chromium, or the one that `make browser` found."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Frame,
    Page,
    Response,
    ViewportSize,
    sync_playwright,
)

PROJECT = Path(__file__).parents[2]
CHROMIUM_FILE = PROJECT / ".venvs/chromium"
PATIENCE_MS = 15_000
"""How long a test waits for a page to show something: enough for a cold start on a busy machine."""
WITHOUT = (
    # The address bar's suggestions are web pages that no test sees, and cost as much as all other pages together.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
    # The features that Playwright itself switches off, since only the last such switch takes effect.
    *("AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose"),
    *("HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying"),
    *("OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
)
"""Features of Chromium that are switched off."""
SIZE: ViewportSize = {"width": 1280, "height": 800}
"""A small laptop's."""
COLOUR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
UNACCEPTABLE = frozenset({"serious", "critical"})


@dataclass
class Problems:
    """The errors that a page reported. A test that provokes errors names a part of each in `expected`."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._note_message)
        page.on("pageerror", self._note_error)
        page.on("response", self._note_answer)

    def unwatch(self, page: Page) -> None:
        page.remove_listener("console", self._note_message)
        page.remove_listener("pageerror", self._note_error)
        page.remove_listener("response", self._note_answer)

    def unexpected(self) -> list[str]:
        return [problem for problem in self.seen if not any(part in problem for part in self.expected)]

    def _note_message(self, message: ConsoleMessage) -> None:
        # The browser reports each response of 400 and above as an error without naming it; `_note_answer` does.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.seen.append(f"{message.type}: {message.text}")

    def _note_error(self, error: Error) -> None:
        self.seen.append(f"exception: {error.message}")

    def _note_answer(self, answer: Response) -> None:
        if answer.status >= 400:
            self.seen.append(f"answer: {answer.status} {answer.request.method} {answer.url}")


def chromium() -> str:
    """The browser's path."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    assert CHROMIUM_FILE.exists(), "No browser is known yet: run `make browser` first."
    return CHROMIUM_FILE.read_text().strip()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # One per file: while Playwright runs, no other test can start an event loop.
    with sync_playwright() as playwright:
        # Chromium's sandbox needs privileges that root lacks in a container; the browser visits loopback only.
        arguments = ["--no-sandbox", "--disable-gpu", f"--disable-features={','.join(WITHOUT)}"]
        running = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield running
        running.close()


@pytest.fixture
def page_problems() -> Problems:
    return Problems()


def new_profile(browser: Browser) -> BrowserContext:
    """An Indian customer's."""
    made = browser.new_context(locale="en-IN", timezone_id="Asia/Kolkata", viewport=SIZE)
    made.set_default_timeout(PATIENCE_MS)
    return made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A new browser profile."""
    made = new_profile(browser)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, page_problems: Problems) -> Iterator[Page]:
    """A page of that profile. The test fails on any error of the page that it does not expect."""
    context.on("page", page_problems.watch)
    yield context.new_page()
    assert page_problems.unexpected() == []


@pytest.fixture(scope="module")
def file_page(browser: Browser) -> Iterator[Page]:
    """One page for a whole file."""
    made = new_profile(browser)
    yield made.new_page()
    made.close()


@pytest.fixture
def kept_page(file_page: Page, page_problems: Problems) -> Iterator[Page]:
    """One page for all tests of a file, empty at the start of each; like `page`, it must report no other errors.

    A new page is a new process of the browser and costs more than most tests. This one is for sites that store nothing
    in the browser, and for tests that change nothing of the page that outlives its document, other than what is set
    back here: so without initial scripts and without Playwright's clock.
    """
    page_problems.watch(file_page)
    yield file_page
    page_problems.unwatch(file_page)
    file_page.unroute_all(behavior="ignoreErrors")
    file_page.goto("about:blank")
    file_page.set_viewport_size(SIZE)
    file_page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert page_problems.unexpected() == []


@pytest.fixture
def axe() -> Callable[[Page | Frame], None]:
    """Asserts that axe-core finds nothing serious on the page in its current state.

    axe-core cannot see into a frame of another origin; pass such a frame separately.
    """

    def check(page: Page | Frame) -> None:
        found = Axe().run(page).response["violations"]
        assert [
            f"{rule['id']} ({rule['impact']}): {node['html']}"
            for rule in found
            if rule["impact"] in UNACCEPTABLE
            for node in rule["nodes"]
        ] == []

    return check
