"""The examples of docs/tokens.md: its settings accept its tokens and refuse others."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from payments.adapters.config import verify_settings
from payments.adapters.jwks import KeySet
from payments.adapters.tokens import Tokens
from payments.core.errors import Unauthenticated
from sandbox import development, mint
from sandbox.cloud.packages import read_template
from tests.docs.pages import claim
from tests.signers import Signer, signer

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/tokens.md").read_text(encoding="utf-8")
DJANGO = ["Django, one shared key", "Django, a key pair"]
PUBLISHED = ["Amazon Cognito", "Auth0"]
BLOCKS = [
    *claim(
        "docs/tokens.md",
        sections=("Django, one shared key", "Django, a key pair"),
        languages=("python", "ini", "json"),
    ),
    *claim("docs/tokens.md", sections=("Amazon Cognito", "Auth0"), languages=("ini", "json")),
]
JWT_SECRET = "0o2C7a9Bk4WqTz6Yx1Vn8Mi3Ue5Rs0Pd"

# What Django does: reads its settings and issues a token to a user.
ISSUE = """
import json, sys
from datetime import timedelta
import django
from django.conf import settings
env = json.loads(sys.argv[2])
names = {"env": env, "timedelta": timedelta}
exec(sys.argv[1], names)
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    SECRET_KEY="another-key-for-sessions-and-such-things",
    SIMPLE_JWT=names["SIMPLE_JWT"],
)
django.setup()
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import RefreshToken
refresh = RefreshToken.for_user(User(id=42, username="asha"))
print(json.dumps({"access": str(refresh.access_token), "refresh": str(refresh)}))
"""


def block(section: str, language: str) -> str:
    """A section's only block of a language."""
    (found,) = (block.text for block in BLOCKS if (block.section, block.language) == (section, language))
    return found


def parameters(section: str) -> dict[str, str]:
    """The parameters of the template that a section sets."""
    return dict(line.split("=", 1) for line in block(section, "ini").splitlines())


def variables(given: Mapping[str, str]) -> dict[str, str]:
    """The settings of a function that checks tokens, from the template's parameters."""
    template = read_template(PROJECT / "template.yaml")
    known = template["Parameters"]
    assert given.keys() <= known.keys()
    for name, value in given.items():
        assert value in known[name].get("AllowedValues", [value])
        assert re.search(known[name].get("AllowedPattern", ""), value)
    environment = template["Resources"]["VerifyFunction"]["Properties"]["Environment"]["Variables"]
    return {
        name: given.get(value["Ref"], str(known[value["Ref"]].get("Default", "")))
        for name, value in environment.items()
        if name.startswith("JWT_")
    }


def tokens(given: Mapping[str, str], **secret: str) -> Tokens:
    """The token check with a section's settings and the published keys of `signer`."""
    other = {"STAGE": "local", "PAYMENTS_TABLE": "t", "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET}
    rules = verify_settings({**other, **variables(given), **secret}).token_rules
    if rules.key_set_url is None:
        return Tokens(rules)
    published = json.dumps({"keys": [signer(rules.algorithm).jwk("the-key")]}).encode()
    keys = KeySet(lambda: published, rules.algorithm, time.time)
    return Tokens(rules, lambda kid: keys.key(kid, lambda _: None))


def is_taken(check: Tokens, token: str) -> bool:
    try:
        return check.user_id(f"Bearer {token}") == 42
    except Unauthenticated:
        return False


# --- Django ---


def issued_by_django(section: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """A token from djangorestframework-simplejwt with a section's settings, in a separate process."""
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-c", ISSUE, block(section, "python"), json.dumps(secrets)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    issued: dict[str, str] = json.loads(done.stdout)
    return issued


@pytest.mark.parametrize("section", DJANGO)
def test_djangos_access_tokens_are_taken_and_its_refresh_tokens_are_not(section: str) -> None:
    pair = signer("RS256")
    form = serialization.PrivateFormat.PKCS8
    private = pair.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    secrets = {"JWT_SECRET": JWT_SECRET, "JWT_PRIVATE_KEY": private, "JWT_PUBLIC_KEY": pair.pem}
    issued = issued_by_django(section, secrets)
    (name,) = json.loads(block(section, "json"))
    assert name in {"JWT_SECRET", "JWT_PUBLIC_KEY"}
    given = parameters(section)
    known = {name: secrets[name]}

    check = tokens(given, **known)
    assert is_taken(check, issued["access"])
    assert not is_taken(check, issued["refresh"])
    assert not is_taken(tokens(given | {"JwtIssuer": "https://another.example.com"}, **known), issued["access"])
    assert not is_taken(tokens(given | {"JwtAudience": "another"}, **known), issued["access"])


def test_the_two_ways_with_django_do_not_take_each_others_tokens() -> None:
    one, two = (parameters(section) for section in DJANGO)
    assert (one["JwtAlgorithm"], two["JwtAlgorithm"]) == ("HS256", "RS256")
    shared = Signer("HS256", JWT_SECRET).token(example("Auth0"))
    assert not is_taken(tokens(two, JWT_PUBLIC_KEY=signer("RS256").pem), shared)


# --- published keys ---


def example(section: str, **changes: Any) -> dict[str, Any]:
    """A section's claims, as if issued now; a change to None removes the claim."""
    claims = json.loads(block(section, "json")) if section in PUBLISHED else {}
    now = int(time.time())
    claims |= {"iat": now, "exp": now + 3600, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims: dict[str, Any], *, number: int = 1, kid: str = "the-key") -> str:
    # Cognito's header has no type, Auth0's has one.
    return signer("RS256", number).token(claims, json.dumps({"kid": kid, "alg": "RS256"}).encode())


@pytest.mark.parametrize("section", PUBLISHED)
def test_the_tokens_of_the_documented_services_are_taken(section: str) -> None:
    given = parameters(section)
    assert "JwtSecretArn" not in given
    claims = json.loads(block(section, "json"))
    assert claims["exp"] > claims["iat"]
    check = tokens(given)
    assert is_taken(check, signed(example(section)))
    assert is_taken(check, signer("RS256").token(example(section), {"kid": "the-key", "typ": "at+jwt"}))


@pytest.mark.parametrize("section", PUBLISHED)
def test_their_tokens_for_others_or_by_others_are_not(section: str) -> None:
    check = tokens(parameters(section))
    audience = "client_id" if section == "Amazon Cognito" else "aud"
    user_claim = parameters(section)["JwtUserClaim"]
    for changes in (
        {"iss": "https://another.example.com/"},
        {"iss": None},
        {audience: "another"},
        {audience: None},
        {user_claim: None},
        {user_claim: "asha"},
        {"exp": None},
        {"exp": int(time.time()) - 60},
        {"nbf": int(time.time()) + 60},
        {"token_use": "id"},
    ):
        assert not is_taken(check, signed(example(section, **changes))), changes
    assert not is_taken(check, signed(example(section), number=2))
    assert not is_taken(check, signed(example(section), kid="another-key"))
    assert not is_taken(check, Signer("HS256", JWT_SECRET).token(example(section), {"kid": "the-key"}))


def test_cognitos_user_name_may_be_the_platforms_id() -> None:
    check = tokens(parameters("Amazon Cognito") | {"JwtUserClaim": "username"})
    assert is_taken(check, signed(example("Amazon Cognito", username="42")))
    assert not is_taken(check, signed(example("Amazon Cognito")))


def test_auth0_names_one_audience_as_a_text() -> None:
    check = tokens(parameters("Auth0"))
    assert is_taken(check, signed(example("Auth0", aud="https://payments.example.com")))


# --- the page itself ---


def test_the_page_names_every_parameter_and_variable_there_is() -> None:
    template = read_template(PROJECT / "template.yaml")
    named = {name for name in template["Parameters"] if name.startswith("Jwt")}
    assert set(re.findall(r"^\| `(Jwt\w+)`", PAGE, re.MULTILINE)) == named
    asked = set(re.findall(r'"(JWT_[A-Z_]+)"', (PROJECT / "shared/payments/adapters/config.py").read_text()))
    assert asked <= set(re.findall(r"`(JWT_[A-Z_]+)`", PAGE))


def test_the_page_describes_what_a_local_token_may_be_told() -> None:
    (recipe,) = re.findall(r"^token: .*\n\t@(.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    section = PAGE.split("## A token on your machine\n")[1].split("\n## ")[0]
    said = re.findall(r"\$\(call said,([A-Z]+)\)", recipe)
    assert re.findall(r"^\| `([A-Z]+)` \|", section, re.MULTILINE) == said == ["USER", "MINUTES", "SCOPE"]
    assert f"{mint.MINUTES} unless given" in section
