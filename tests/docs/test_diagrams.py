"""The drawings in README.md, docs/architecture.md, docs/frontend.md and docs/quotes.md show what the template has."""

import re
from functools import cache
from typing import Any, Final

import pytest

from sandbox.cloud.packages import read_template
from tests.docs.pages import PROJECT, Block, claim

PERIODS: Final = {"every minute": [1], "every 1, 5 and 60 minutes": [1, 5, 60]}


@cache
def functions() -> dict[str, dict[str, Any]]:
    """The properties of each function, by its folder's name."""
    resources = read_template(PROJECT / "template.yaml")["Resources"].values()
    found = [one["Properties"] for one in resources if one["Type"] == "AWS::Serverless::Function"]
    return {one["CodeUri"].split("/")[1]: one for one in found}


def routes(name: str) -> set[tuple[str, str]]:
    """A function's routes: method and path, which the pages write with a slash at the end."""
    events = [one["Properties"] for one in functions()[name].get("Events", {}).values() if one["Type"] == "Api"]
    return {(one["Method"].upper(), f"{one['Path']}/") for one in events}


def minutes(name: str) -> list[int]:
    """How often a function's schedules start it."""
    events = [one["Properties"] for one in functions()[name].get("Events", {}).values() if one["Type"] == "Schedule"]
    found = [re.fullmatch(r"rate\((\d+) (minute|hour)s?\)", one["Schedule"]) for one in events]
    return sorted(int(rate[1]) * (60 if rate[2] == "hour" else 1) for rate in found if rate)


def with_variable(variable: str) -> set[str]:
    """The functions that have an environment variable of their own."""
    return {name for name, one in functions().items() if variable in one["Environment"]["Variables"]}


# --- README.md --------------------------------------------------------------------------------------------------------


def test_the_drawing_in_the_readme_has_every_route_of_the_frontend_and_razorpay_and_every_schedule() -> None:
    (drawn,) = claim("README.md", languages=("text",))
    calls = re.findall(r"── (GET|POST) +(/api/payments/\S*) ─+► (\w+)", drawn.text)
    shown = {(name, method, path.replace("?…", "")) for method, path, name in calls}
    called = {(name, *route) for name in functions() if name != "refund" for route in routes(name)}
    assert shown == called
    timed = re.findall(r"^schedules? ── (every .+?) ─+► (\w+)", drawn.text, re.MULTILINE)
    assert {name: PERIODS[period] for period, name in timed} == {
        name: minutes(name) for name in functions() if minutes(name)
    }


# --- docs/architecture.md ---------------------------------------------------------------------------------------------


def test_the_picture_of_the_architecture_has_the_functions_and_what_each_reaches() -> None:
    (picture,) = claim("docs/architecture.md", sections=("The picture",))
    titles = dict(re.findall(r'^ +(\w+)[\[{("]+([\w ]+)', picture.text, re.MULTILINE))
    lines = re.findall(r"^ +([\w &]+?) <?-->(?:\|[^|]*\|)? ([\w &]+)$", picture.text, re.MULTILINE)
    edges = {
        (titles[one], titles[two]) for left, right in lines for one in left.split(" & ") for two in right.split(" & ")
    }

    def joined(title: str) -> set[str]:
        return {one if two == title else two for one, two in edges if title in {one, two}} & functions().keys()

    assert joined("API Gateway") == {name for name in functions() if routes(name)}
    assert joined("Schedules") == {name for name in functions() if minutes(name)}
    assert joined("payments table") == functions().keys()
    assert joined("event bus") == with_variable("EVENT_BUS")
    assert joined("Razorpay") == with_variable("RAZORPAY_API_URL")


# --- docs/frontend.md and docs/quotes.md ------------------------------------------------------------------------------

TALKS: Final = [
    *claim("docs/frontend.md", sections=("Integrating the frontend",)),
    *claim("docs/quotes.md", sections=("Quotes: the price from the platform",)),
]


@pytest.mark.parametrize("block", TALKS, ids=lambda block: block.section)
def test_a_talk_between_the_page_and_the_service_uses_routes_that_exist(block: Block) -> None:
    known = {route for name in functions() for route in routes(name)}
    shown = re.findall(r"│ (GET|POST) ([\w{}/-]+/) ", block.text)
    assert shown
    assert {(method, f"/api/payments/{path}") for method, path in shown} <= known
