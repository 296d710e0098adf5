"""docs/quotes.md: what its code issues is a quote that the service accepts for this order, and for no other."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from payments.adapters.config import create_order_settings
from payments.core.errors import QuoteRefused
from payments.core.model import Order
from payments.core.quotes import MAX_LIFETIME_S, check_quote
from payments.core.wire import MAX_QUOTE_CHARS, CreateOrderBody
from payments.wiring.quotes import Quotes
from sandbox import development, events
from sandbox.cloud.packages import read_template
from tests.docs.pages import claim
from tests.signers import ALGORITHMS, signer
from tests.tokens.test_documented import PROJECT

PAGE = (PROJECT / "docs/quotes.md").read_text(encoding="utf-8")
BLOCKS = claim(
    "docs/quotes.md",
    sections=("What a quote says", "Issue one in Django", "Issue one in plain Python", "Turn quotes on"),
    languages=("json", "python", "ini"),
)
SECRET = "gX2pWn7vKd9sTz4bQm6rYc1hLf8jUe3a"
OFFER = {**events.OFFER, "amount": "499.50"}

MODELS = """
from django.contrib.auth.models import User
from django.db import models


class Job(models.Model):
    client = models.ForeignKey(User, on_delete=models.CASCADE)


class Application(models.Model):
    job = models.ForeignKey(Job, on_delete=models.CASCADE)
    freelancer_id = models.IntegerField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    status = models.CharField(max_length=20)
"""
# What Django does with the view: it finds the row, and the user whom its middleware found.
PLATFORM = """
import json, sys
import django
from django.conf import settings
given = json.loads(sys.argv[1])
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "applications"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SECRET_KEY="another-key-for-sessions-and-such-things",
    **given["settings"],
)
django.setup()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from django.contrib.auth.models import User
from django.http import Http404
from django.test import RequestFactory
from applications.models import Application, Job
from applications.views import quote
offer = given["offer"]
for user in (offer["client_id"], 43):
    User.objects.create(id=user, username=str(user))
job = Job.objects.create(id=offer["job_id"], client_id=offer["client_id"])
Application.objects.create(
    id=offer["application_id"], job=job, freelancer_id=offer["freelancer_id"], price=offer["amount"], status="accepted"
)

def asked(method, user):
    request = getattr(RequestFactory(), method)("/")
    request.user = User.objects.get(id=user)
    try:
        answer = quote(request, offer["application_id"])
    except Http404:
        return 404, None
    return answer.status_code, answer.content.decode()

print(json.dumps({"client": asked("post", offer["client_id"]), "other": asked("post", 43),
                  "get": asked("get", offer["client_id"])}))
"""


def blocks(section: str, language: str) -> list[str]:
    """A section's blocks of a language."""
    return [block.text for block in BLOCKS if (block.section, block.language) == (section, language)]


def key_of(algorithm: str) -> tuple[str, dict[str, str]]:
    """What the platform signs with, and the settings that the service then needs, by the names on the page."""
    names = [name for block in blocks("Turn quotes on", "json") for name in json.loads(block)]
    assert names == ["QUOTE_SECRET", "QUOTE_PUBLIC_KEY"]
    if algorithm == "HS256":
        return SECRET, {names[0]: SECRET}
    pair = signer(algorithm)
    form = serialization.PrivateFormat.PKCS8
    private = pair.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    return private, {names[1]: pair.pem}


def check(quote: str, known: dict[str, str], algorithm: str, **changes: Any) -> None:
    """What create-order makes of an order with this quote."""
    settings = create_order_settings(
        {
            "STAGE": "local",
            "PAYMENTS_TABLE": "t",
            "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
            "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
            "JWT_SECRET": development.JWT_SECRET,
            "QUOTE_ALGORITHM": algorithm,
            "QUOTE_REQUIRED": "true",
            **known,
        }
    )
    body = CreateOrderBody.read(json.dumps({**OFFER, **changes, "quote": quote}).encode())
    Quotes(settings, lambda: settings).check(body.quote, body.to_offer(settings.currencies), int(time.time()))


def is_for_this_order_alone(quote: str, known: dict[str, str], algorithm: str) -> None:
    check(quote, known, algorithm)
    for field in OFFER:
        with pytest.raises(QuoteRefused, match=f"does not match the order in {field}"):
            check(quote, known, algorithm, **{field: "499.49" if field == "amount" else 99})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_view_in_django_issues_the_client_and_nobody_else_a_quote(algorithm: str, tmp_path: Path) -> None:
    (view,) = blocks("Issue one in Django", "python")
    package = tmp_path / "applications"
    package.mkdir()
    for name, text in {"__init__": "", "models": MODELS, "views": view}.items():
        (package / f"{name}.py").write_text(text)
    key, known = key_of(algorithm)
    given = {"settings": {"QUOTE_KEY": key, "QUOTE_ALGORITHM": algorithm}, "offer": OFFER}
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-c", PLATFORM, json.dumps(given)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    status, body = answers["client"]
    assert (status, answers["other"][0], answers["get"][0]) == (200, 404, 405)
    is_for_this_order_alone(json.loads(body)["quote"], known, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_function_in_plain_python_issues_a_quote(algorithm: str) -> None:
    (code,) = blocks("Issue one in plain Python", "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - the project's own document
    key, known = key_of(algorithm)
    is_for_this_order_alone(names["quote"](OFFER, key, algorithm), known, algorithm)


def test_the_claims_that_the_page_shows_are_a_quote() -> None:
    (shown,) = blocks("What a quote says", "json")
    claims = json.loads(shown)
    offer = Order(
        job_id=11,
        application_id=12,
        client_id=42,
        freelancer_id=77,
        payment_id=0,
        amount_minor=49950,
        currency="INR",
        receipt="",
    )
    check_quote(claims, offer, claims["iat"] + 1)
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))) >= claims.keys()


def test_the_page_has_the_limits_and_the_parameters_that_there_are() -> None:
    assert f"at most {MAX_LIFETIME_S} apart" in PAGE
    assert f"at most {MAX_QUOTE_CHARS:,} characters" in PAGE
    parameters = {name for name in read_template(PROJECT / "template.yaml")["Parameters"] if name.startswith("Quote")}
    (shown,) = blocks("Turn quotes on", "ini")
    given = dict(line.split("=", 1) for line in shown.splitlines())
    assert given.keys() == parameters
    known = read_template(PROJECT / "template.yaml")["Parameters"]
    for name, value in given.items():
        assert value in known[name].get("AllowedValues", [value])
        assert re.search(known[name].get("AllowedPattern", ""), value)
