"""docs/frontend.md shows the code that the shop and the React example run, and covers every code that they can meet."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from sandbox.shop.server import Shop
from tests.docs.pages import Block, claim
from tests.shop.codes import frontend_codes

PROJECT = Path(__file__).parents[2]
STATIC = PROJECT / "sandbox/shop/static"
DOCUMENT = (PROJECT / "docs/frontend.md").read_text(encoding="utf-8")
OWN_CODES = {"unreachable", "checkout_unavailable"}
"""The page's own code, for requests that never reached the service."""

CODE = [
    *STATIC.glob("*.js"),
    *(PROJECT / "clients/javascript/src").iterdir(),
    *(PROJECT / "examples/react/src").iterdir(),
]
BLOCKS = claim("docs/frontend.md", languages=("js", "jsx"))
TABLE_CODES = re.findall(r"^\| `([a-z_]+)`(?: \(the page's own\))? \| ", DOCUMENT, flags=re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.text.strip().splitlines()[0])
def test_its_code_is_the_shops_own(block: Block) -> None:
    assert any(block.text in file.read_text(encoding="utf-8") for file in CODE)


def test_the_policy_that_it_shows_is_the_shops_in_razorpays_test_mode() -> None:
    (shown,) = claim("docs/frontend.md", sections=("1. What the page may load",))
    api = "https://payments.example.com"
    endpoints = {"api": api, "razorpay": "", "stand_in": False}
    policy = [directive.split() for directive in Shop(defaultdict(str, endpoints)).policy().split("; ")]
    sent = {name: {*sources} for name, *sources in policy}
    for name, *sources in (line.split() for line in shown.text.replace("<the payment service>", api).splitlines()):
        assert {*sources} == sent[name], name


def test_it_says_what_to_do_for_every_code() -> None:
    codes = [code for code in TABLE_CODES if code not in {"created", "failed", "authorized", "paid", "refunded"}]
    assert sorted(codes) == sorted(frontend_codes() | OWN_CODES)


def test_the_shop_has_words_for_every_code() -> None:
    messages = (STATIC / "messages.js").read_text(encoding="utf-8")
    table = messages.partition("const MESSAGES = {")[2].partition("\n};")[0]
    named = re.findall(r"^  ([a-z_]+): ", table, flags=re.MULTILINE)
    assert sorted(named) == sorted(frontend_codes() | OWN_CODES)


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", DOCUMENT):
        assert target.startswith("https://razorpay.com/docs/") or (PROJECT / "docs" / target).exists(), target


def test_no_module_of_the_pages_writes_markup_or_runs_text() -> None:
    for file in [*CODE, *(PROJECT / "sandbox/live/static").glob("*.js")]:
        code = file.read_text(encoding="utf-8")
        for dangerous in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "dangerouslySetInnerHTML",
        ):
            assert dangerous not in code, f"{file.name} uses {dangerous}"
