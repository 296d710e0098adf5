"""`make docs`: the API reference in a real browser, opened from the disk and without a network.

AsyncAPI's own schema is installed with the renderer, so docs/asyncapi.yaml is checked here as well.
"""

import copy
import json
import shutil
import subprocess

import pytest
import yaml
from jsonschema import Draft7Validator
from playwright.sync_api import Page, expect

from tests.browser.conftest import PROJECT, Problems

# Redoc's own logo, which the pages' policy keeps away.
LOGO = "cdn.redoc.ly/redoc/logo"
# Redoc lays out the whole description at once.
RENDERED_MS = 60_000


@pytest.fixture(scope="module", autouse=True)
def pages() -> None:
    make = shutil.which("make")
    assert make is not None
    subprocess.run([make, "--silent", "docs"], cwd=PROJECT, check=True, timeout=110)  # noqa: S603 - our own target


def test_the_reference_lists_every_route_and_every_event_and_reaches_nobody(
    page: Page, page_problems: Problems
) -> None:
    page_problems.expected.append(LOGO)
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    described = yaml.safe_load((PROJECT / "docs/openapi.yaml").read_text(encoding="utf-8"))
    bus = yaml.safe_load((PROJECT / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    page.goto((PROJECT / ".build/docs/index.html").as_uri())

    page.get_by_role("link", name=described["info"]["title"]).click()
    for path in described["paths"]:
        expect(page.get_by_text(path, exact=True).first).to_be_visible(timeout=RENDERED_MS)
    page.go_back()
    page.get_by_role("link", name=bus["info"]["title"]).click()
    page.get_by_role("button", name="payment.paid").first.click(timeout=RENDERED_MS)
    for name in bus["components"]["messages"]:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()

    assert {address.partition(":")[0] for address in asked} <= {"file", "data", "blob"}


def test_the_description_of_the_bus_is_one_by_asyncapis_own_schema() -> None:
    bus = yaml.safe_load((PROJECT / "docs/asyncapi.yaml").read_text(encoding="utf-8"))
    schemas = PROJECT / "tools/reference/node_modules/@asyncapi/specs/schemas"
    official = Draft7Validator(
        json.loads((schemas / f"{bus['asyncapi']}-without-$id.json").read_text(encoding="utf-8"))
    )
    assert list(official.iter_errors(bus)) == []
    wrong = copy.deepcopy(bus)
    wrong["operations"]["publishPaymentPaid"]["action"] = "publish"
    assert not official.is_valid(wrong)
