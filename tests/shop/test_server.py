"""The shop's server: what it serves, to whom, and with which policy."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from sandbox import development
from sandbox.cloud.ports import LOOPBACK, free_port
from sandbox.cloud.processes import ServerProcess
from sandbox.shop.clients import ACCESS_TOKEN_LIFETIME, Client, client_of_cookie
from sandbox.shop.server import COOKIE, Shop

PROJECT = Path(__file__).parents[2]
ENDPOINTS = {
    "api": "http://127.0.0.1:8080",
    "razorpay": "http://127.0.0.1:8090",
    "stand_in": True,
    "aws": "http://127.0.0.1:4566",
    "table": "payments",
    "region": "ap-south-1",
    "access_key_id": "test",
    "secret_access_key": "test",
    "jwt_secret": development.JWT_SECRET,
    "outputs": {"ReconcileAlias": "reconcile"},
    "subscribers": {"JobInbox": "job", "ApplicationInbox": "application", "NotificationInbox": "notification"},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Only the shop's process; its backends do not exist."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "endpoints.json").write_text(json.dumps(ENDPOINTS))
    port = free_port()
    command = [sys.executable, "-m", "sandbox.cloud.attached", "sandbox.shop"]
    command += ["--port", str(port), "--endpoints", str(folder / "endpoints.json")]
    process = ServerProcess.start("The shop", command, env={"PATH": os.defpath}, cwd=PROJECT, log=folder / "shop.log")
    address = f"http://{LOOPBACK}:{port}"
    try:
        process.wait_until(lambda: _answers(address), seconds=20)
        yield address
    finally:
        process.stop()


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=2).ok
    except requests.ConnectionError:
        return False


def test_the_pages_policy_allows_itself_the_service_and_checkout_and_nothing_else(shop: str) -> None:
    policy = requests.get(shop, timeout=5).headers["Content-Security-Policy"]
    assert _directives(policy) == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "form-action": "'none'",
        "script-src": "'self' http://127.0.0.1:8090",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self' http://127.0.0.1:8080",
        "frame-src": "http://127.0.0.1:8090",
    }


def test_with_razorpays_own_checkout_scripts_come_from_razorpays_hosts_and_are_never_inline() -> None:
    policy = _directives(Shop(ENDPOINTS | {"stand_in": False, "razorpay": "https://api.razorpay.com"}).policy())
    assert policy["script-src"] == "'self' https://checkout.razorpay.com https://cdn.razorpay.com"
    assert policy["default-src"] == "'none'"
    assert "unsafe-eval" not in " ".join(policy.values())


@pytest.mark.parametrize(
    "path", ["/", "/config.json", "/static/shop.js", "/static/none.js", "/clients/javascript/src/payments.js", "/live/"]
)
def test_every_answer_is_protected_and_never_kept(shop: str, path: str) -> None:
    headers = requests.get(shop + path, timeout=5).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_pages_run_the_very_files_of_the_client_and_get_nothing_else_of_its_folder(shop: str) -> None:
    for name in ("src/payments.js", "src/checkout.js"):
        answer = requests.get(f"{shop}/clients/javascript/{name}", timeout=5)
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.content == (PROJECT / "clients/javascript" / name).read_bytes()
    for name in ("package.json", "src/../package.json", "src/%2e%2e/package.json", "types/payments.d.ts"):
        asked = requests.Request("GET", shop).prepare()
        asked.url = f"{shop}/clients/javascript/{name}"
        assert requests.Session().send(asked, timeout=5).status_code == 404


def test_a_name_that_somebody_else_made_lead_here_gets_nothing(shop: str) -> None:
    assert requests.get(shop, headers={"Host": "shop.example.com"}, timeout=5).status_code == 400


def test_a_client_is_remembered_by_a_cookie_that_no_script_can_read(shop: str) -> None:
    browser = requests.Session()
    first = browser.post(f"{shop}/session", timeout=5)
    again = browser.post(f"{shop}/session", timeout=5)

    assert first.json()["user_id"] == again.json()["user_id"]
    assert "HttpOnly" in first.headers["Set-Cookie"]
    assert "SameSite=strict" in first.headers["Set-Cookie"]


def test_starting_over_makes_another_client_with_proposals_of_their_own(shop: str) -> None:
    browser = requests.Session()
    before = browser.post(f"{shop}/session", timeout=5).json()
    after = browser.post(f"{shop}/session/new", timeout=5).json()

    assert after["user_id"] != before["user_id"]
    assert not _applications(before) & _applications(after)
    assert browser.post(f"{shop}/session", timeout=5).json()["user_id"] == after["user_id"]


def test_the_access_token_is_the_clients_and_lives_for_minutes(shop: str) -> None:
    client = requests.post(f"{shop}/session", timeout=5).json()
    claims = jwt.decode(client["access_token"], development.JWT_SECRET, algorithms=["HS256"])
    assert claims["user_id"] == str(client["user_id"])
    assert claims["exp"] - claims["iat"] == ACCESS_TOKEN_LIFETIME.total_seconds() == client["expires_in"]


def test_the_cookie_is_no_access_token_and_an_access_token_is_no_cookie() -> None:
    client = Client(12345)
    assert client_of_cookie(client.to_cookie()) == client
    assert "user_id" not in jwt.decode(client.to_cookie(), options={"verify_signature": False})
    assert client_of_cookie(development.token(12345)) is None
    assert client_of_cookie("x" + client.to_cookie()) is None
    assert client_of_cookie(None) is None


def test_a_forged_cookie_makes_a_new_client(shop: str) -> None:
    forged = jwt.encode({"sub": "12345", "aud": "shop"}, "another-key-of-more-than-thirty-two-bytes", algorithm="HS256")
    answer = requests.post(f"{shop}/session", cookies={COOKIE: forged}, timeout=5)
    assert answer.json()["user_id"] != 12345


def test_a_client_gets_the_platforms_price_of_their_own_proposals_and_of_no_others(shop: str) -> None:
    browser = requests.Session()
    client = browser.post(f"{shop}/session", timeout=5).json()
    for proposal in client["proposals"]:
        quote = browser.post(f"{shop}/quotes/{proposal['application_id']}", timeout=5).json()["quote"]
        claims = jwt.decode(quote, development.QUOTE_SECRET, algorithms=["HS256"], audience="payment-quote")
        assert claims.pop("exp") - claims.pop("iat") <= 15 * 60
        assert claims == {
            "aud": "payment-quote",
            "sub": str(client["user_id"]),
            **{name: proposal[name] for name in ("job_id", "application_id", "freelancer_id", "amount", "currency")},
        }
    address = f"{shop}/quotes/{client['proposals'][0]['application_id']}"
    assert requests.post(address, timeout=5).status_code == 401
    somebody_else = requests.Session()
    somebody_else.post(f"{shop}/session", timeout=5)
    assert somebody_else.post(address, timeout=5).status_code == 404


def test_what_a_proposal_costs_is_the_same_in_rupees_and_in_paise() -> None:
    for proposal in Client(12345).proposals():
        rupees, paise = proposal["amount"].split(".")
        assert int(rupees) * 100 + int(paise) == proposal["amount_minor"]


def _applications(client: dict[str, Any]) -> set[int]:
    return {proposal["application_id"] for proposal in client["proposals"]}


def _directives(policy: str) -> dict[str, str]:
    return dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
