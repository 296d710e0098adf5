"""Smoke-test a deployed API from outside, without moving any money: `make smoke API=https://…`.

It creates an order of one rupee that nobody pays, reads it back, sends a forged webhook that claims a payment, and
checks that nothing changed. It leaves behind one unpaid order, for an application that does not exist.

The access token comes from the variable PAYMENTS_TOKEN, or from the file named in PAYMENTS_TOKEN_FILE, never from an
argument: any process can read arguments, and shells keep a history. The token is never printed.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import random
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidURL, JSONDecodeError, SSLError
from rich.console import Console
from rich.markup import escape

_TOKEN: Final = "PAYMENTS_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_FILE: Final = "PAYMENTS_TOKEN_FILE"  # noqa: S105 - as above
_TIMEOUT_S: Final = 35
"""API Gateway gives up on a function after 29 seconds, and then answers."""
_AMOUNT_RUPEES: Final = "1.00"
_AMOUNT_PAISE: Final = 100
_MAX_ID: Final = 2**53 - 1
# Ids near the end of the range, which no platform uses, so that the order belongs to nobody's application.
_FIRST_ID: Final = 9 * 10**15
_ACCEPTED: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
_TAKE_OUT: Final = ". Take the stage out of service: it accepted what it must refuse"
_QUOTED: Final = 300
"""How many characters of an unexpected answer an error shows."""


class SmokeError(Exception):
    """Something is wrong; the message says what was seen and what to do next."""


def access_token(environment: Mapping[str, str]) -> str:
    """Return the caller's token, from the environment or a private file.

    Raises:
        SmokeError: there is none, there are two, or others can read the file.
    """
    value, name = environment.get(_TOKEN, ""), environment.get(_TOKEN_FILE, "")
    if value and name:
        raise SmokeError(f"both {_TOKEN} and {_TOKEN_FILE} are set: unset one of them")
    if name:
        value = _private(Path(name))
    if not value.strip():
        raise SmokeError(
            f"there is no access token: put one into a file that only you can read and name it in {_TOKEN_FILE}, "
            f'or set {_TOKEN}; docs/deploying.md, "Try it out", says how to get one'
        )
    token = value.strip()
    if re.fullmatch(r"[A-Za-z0-9_.-]+", token) is None:
        raise SmokeError("the token contains invalid characters: pass only the token, without 'Bearer' or quotes")
    return token


def _private(file: Path) -> str:
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SmokeError(f"{file}, which {_TOKEN_FILE} names, is not a file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SmokeError(
                f"others can read {file}: chmod 600 it first, and replace the token if anyone may have read it"
            )
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise SmokeError(f"{file}, which {_TOKEN_FILE} names, does not exist") from None
    except OSError as error:
        raise SmokeError(f"{file}, which {_TOKEN_FILE} names, cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SmokeError(f"{file}, which {_TOKEN_FILE} names, contains no token: a token is plain ASCII") from None


def user_id(token: str, claim: str) -> int:
    """Return the id of the token's user. The signature is not checked: that is the service's job.

    Raises:
        SmokeError: it is not a JWT, it has expired, or it has no such claim.
    """
    try:
        _, payload, _ = token.split(".")
        claims = dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (ValueError, TypeError):
        raise SmokeError(
            "the token is not a JWT (three parts separated by dots); docs/tokens.md has examples"
        ) from None
    if claim not in claims:
        raise SmokeError(
            f"the token has no claim {claim}: if the stack's JwtUserClaim differs, set USER_CLAIM=…; "
            f"it has {', '.join(sorted(map(str, claims))) or 'none'}"
        )
    expires = claims.get("exp")
    if isinstance(expires, int | float) and expires < time.time():
        raise SmokeError("the token has expired: get a new one")
    try:
        identity = int(claims[claim])
    except (TypeError, ValueError):
        identity = 0
    if not 1 <= identity <= _MAX_ID:
        raise SmokeError(f"the claim {claim} is not a user id of the platform: an integer from 1 to 2^53-1")
    return identity


def root_of(api: str) -> str:
    """Return the address that `/api/payments/…` is appended to.

    Raises:
        SmokeError: a token must not be sent to this address.
    """
    if not api:
        raise SmokeError(
            "API is missing: make smoke API=<the stack's output ApiUrl> (make run's is http://127.0.0.1:8080)"
        )
    parts = urlsplit(api)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SmokeError(f"API={api} is not an address: give the full URL, such as https://payments.example.com/")
    if parts.username is not None or parts.query or parts.fragment:
        raise SmokeError(
            "API has a user, a query or a fragment: give only the address, such as the stack's output ApiUrl"
        )
    if parts.scheme == "http" and not _is_this_machine(api):
        raise SmokeError("API is not https, and a token must not be sent unencrypted: give the https address")
    if "/api/payments" in parts.path:
        raise SmokeError("API includes /api/payments: give the part before it, such as the stack's output ApiUrl")
    return api.rstrip("/")


def _is_this_machine(api: str) -> bool:
    return urlsplit(api).hostname in {"127.0.0.1", "::1", "localhost"}


class Smoke:
    """One run against one API."""

    def __init__(self, root: str, token: str, client_id: int, say: Callable[[str], None]) -> None:
        self._root = root
        self._token = token
        self._client_id = client_id
        self._say = say
        self._session = requests.Session()
        # Reach this machine without the proxy that other addresses may need. In either case ignore ~/.netrc, which
        # would replace the token.
        self._session.trust_env = False
        if not _is_this_machine(root):
            self._session.proxies.update(requests.utils.get_environ_proxies(root))
            self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True

    def run(self, *, live: bool = False, webhook_blocked: bool = False) -> None:
        """Run each step and report it.

        Args:
            live: the stage has live keys, and an unpaid order in live mode is intended.
            webhook_blocked: a web ACL lets only Razorpay's addresses reach the webhook.

        Raises:
            SmokeError: at the first thing that is wrong.
        """
        self._refused_without_token()
        order = self._created()
        self._in_the_mode(order, live=live)
        self._read(order)
        self._forged(order, webhook_blocked=webhook_blocked)
        self._read(order, since_forged=True)

    def _refused_without_token(self) -> None:
        status, answer = self._ask("POST", "create-order/", self._offer(), token=False)
        if status != HTTPStatus.UNAUTHORIZED:
            raise SmokeError(
                _unexpected("create-order without a token", status, answer, expected="401")
                + (_TAKE_OUT if status in _ACCEPTED else "")
            )
        self._say("create-order without a token: 401, as it should be")

    def _created(self) -> dict[str, Any]:
        status, order = self._ask("POST", "create-order/", self._offer())
        if status != HTTPStatus.CREATED:
            raise SmokeError(_unexpected("create-order", status, order, expected="201"))
        wrong = _differences(order, amount=_AMOUNT_PAISE, currency="INR", status="created")
        if wrong or not str(order.get("order_id", "")).startswith("order_"):
            raise SmokeError(f"create-order answered 201, but not with the requested order: {wrong or order}")
        self._say(f"create-order: 201, {order['order_id']}, {_AMOUNT_PAISE} paise, payment {order.get('payment_id')}")
        return order

    def _in_the_mode(self, order: Mapping[str, Any], *, live: bool) -> None:
        key = str(order.get("key_id", ""))
        if key.startswith("rzp_test_") and not live:
            self._say("the stage uses Razorpay's test mode")
        elif key.startswith("rzp_live_") and live:
            self._say("the stage uses Razorpay's live mode: nobody pays this order, so it costs nothing")
        elif key.startswith("rzp_live_"):
            raise SmokeError(
                f"the stage uses live keys. {order['order_id']} is an unpaid order in live mode, which costs nothing; "
                "set LIVE=yes if that is what you want, or give the API of a stage in test mode"
            )
        elif key.startswith("rzp_test_"):
            raise SmokeError("LIVE=yes is set, but the stage uses test keys: it cannot take real payments")
        else:
            raise SmokeError("create-order's key_id is not a Razorpay key: check the API keys' secret")

    def _read(self, order: Mapping[str, Any], *, since_forged: bool = False) -> None:
        what = "the order, after the forged webhook" if since_forged else "the order, read back"
        status, payment = self._ask("GET", f"{order['order_id']}/")
        if status != HTTPStatus.OK:
            raise SmokeError(_unexpected(what, status, payment, expected="200"))
        expected = {
            **{name: order[name] for name in ("order_id", "payment_id", "amount", "currency") if name in order},
            "client_id": self._client_id,
            "status": "created",
            "confirmed": False,
        }
        if wrong := _differences(payment, **expected):
            raise SmokeError(f"{what} is not as it was created: {wrong}{_TAKE_OUT if since_forged else ''}")
        self._say(f"{what}: 200, created, not confirmed")

    def _forged(self, order: Mapping[str, Any], *, webhook_blocked: bool) -> None:
        body = _forgery(str(order["order_id"]))
        # Signed with a secret that only this run knows.
        signature = hmac.new(secrets.token_bytes(32), body, hashlib.sha256).hexdigest()
        status, answer = self._ask("POST", "webhook/", body, token=False, headers={"X-Razorpay-Signature": signature})
        if webhook_blocked:
            if status != HTTPStatus.FORBIDDEN:
                raise SmokeError(
                    _unexpected("the forged webhook", status, answer, expected="403")
                    + "; WEBHOOK_BLOCKED=yes is only for stages with WebhookFromRazorpayOnly=true"
                )
            self._say("the forged webhook: 403, blocked by the web ACL before its signature was checked")
            return
        if status != HTTPStatus.BAD_REQUEST or answer.get("code") != "invalid_signature":
            raise SmokeError(
                _unexpected("the forged webhook", status, answer, expected="400 invalid_signature")
                + (_TAKE_OUT if status in _ACCEPTED else "")
            )
        self._say("the forged webhook: 400 invalid_signature, as it should be")

    def _offer(self) -> bytes:
        application_id, job_id, freelancer_id = (random.randrange(_FIRST_ID, _MAX_ID) for _ in range(3))  # noqa: S311 - ids nobody has to guess
        offer = {
            "job_id": job_id,
            "application_id": application_id,
            "client_id": self._client_id,
            "freelancer_id": freelancer_id,
            "amount": _AMOUNT_RUPEES,
        }
        return json.dumps(offer).encode()

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        url = f"{self._root}/api/payments/{path}"
        sent = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        if token:
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            # Following a redirect could change the method or the host. Here it means a wrong address.
            answer = self._session.request(
                method, url, data=body, headers=sent, timeout=_TIMEOUT_S, allow_redirects=False
            )
        except SSLError:
            raise SmokeError(
                f"{self._root} does not have a certificate that this machine accepts: is the host name right?"
            ) from None
        except requests.Timeout:
            raise SmokeError(
                f"{url} did not answer within {_TIMEOUT_S} s: try again, then check the function's log"
            ) from None
        except InvalidURL:
            raise SmokeError(f"{url} is not a valid URL: check API") from None
        except requests.RequestException:
            raise SmokeError(
                f"nothing answers at {self._root}: is the address right, and the stack deployed?"
            ) from None
        try:
            document = answer.json()
        except JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            raise SmokeError(
                f"{method} {url} answered {answer.status_code} without a JSON object, so it is not the payment API: "
                "give the stack's output ApiUrl"
            )
        return answer.status_code, document


def _forgery(order_id: str) -> bytes:
    """Return a webhook like Razorpay's that claims that the order was paid."""
    payment = {
        "id": "pay_Forged00000000",
        "entity": "payment",
        "amount": _AMOUNT_PAISE,
        "currency": "INR",
        "status": "captured",
        "order_id": order_id,
        "captured": True,
        "amount_refunded": 0,
        "notes": [],
        "created_at": int(time.time()),
    }
    event = {
        "entity": "event",
        "account_id": "acc_Forged00000000",
        "event": "payment.captured",
        "contains": ["payment"],
        "payload": {"payment": {"entity": payment}},
        "created_at": int(time.time()),
    }
    return json.dumps(event, separators=(",", ":")).encode()


def _differences(seen: Mapping[str, Any], **expected: object) -> str:
    """Describe the fields that differ; empty if none does. The type counts: `true` is not 1."""
    return ", ".join(
        f"{name} is {seen.get(name)!r} instead of {value!r}"
        for name, value in expected.items()
        if seen.get(name) != value or type(seen.get(name)) is not type(value)
    )


_NEXT: Final[Mapping[tuple[int, str], str]] = {
    (400, "invalid_request"): "the stage does not accept orders of one rupee, or INR: check MaxAmount and Currencies",
    (401, "unauthenticated"): (
        "the stage does not accept the token: compare JwtAlgorithm, JwtIssuer, JwtAudience and the secret's key "
        "with the identity service's; `why` in create-order's log names the reason"
    ),
    (403, "forbidden"): (
        "the stage reads another user from the token (JwtUserClaim; then set USER_CLAIM=…), or the web ACL "
        "refused the request; with WebhookFromRazorpayOnly=true it refuses the webhook too: set WEBHOOK_BLOCKED=yes"
    ),
    (404, "not_found"): "the address belongs to another API, or lacks the stage's name: give the stack's output ApiUrl",
    (404, "order_not_found"): "the order was created but cannot be read: do two stages share this address?",
    (
        429,
        "too_many_requests",
    ): "the API's limit (ApiRateLimit, WebhookRateLimit) or the account's Lambda quota is reached",
    (500, "internal_error"): "a setting or a secret is missing or wrong: `problems` in the function's log names it",
    (502, "gateway_refused"): "Razorpay refuses the API keys or the account: see the runbook's api-server-errors",
    (503, "gateway_unavailable"): "Razorpay does not answer: try again in a minute",
    (503, "temporarily_unavailable"): (
        "a new stage has no secrets yet: fill them in, and wait a minute. Otherwise the table, Secrets Manager or the "
        "identity service's keys do not answer: see the function's log"
    ),
}
"""What to do about an unexpected answer, by status and code."""


def _unexpected(what: str, status: int, answer: Mapping[str, Any], *, expected: str) -> str:
    code = str(answer.get("code", ""))
    said = " ".join(str(answer[name]) for name in ("code", "detail", "message") if answer.get(name)) or json.dumps(
        answer
    )
    errors = f" {json.dumps(answer['errors'])}" if answer.get("errors") else ""
    request = f" (request {answer['request_id']})" if answer.get("request_id") else ""
    next_step = _NEXT.get((status, code))
    if next_step is None and status == HTTPStatus.FORBIDDEN:
        # API Gateway's own answer for a stage or path that it does not have.
        next_step = _NEXT[404, "not_found"]
    return f"{what} was answered {status} instead of {expected}: {(said + errors)[:_QUOTED]}{request}" + (
        f". What to do: {next_step}" if next_step else ""
    )


def main(arguments: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Return 0 if everything works, or 1 if something is wrong; the last line says what."""
    parser = argparse.ArgumentParser(
        prog="make smoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("api", help="the API's root, which /api/payments/… is appended to")
    parser.add_argument(
        "--user-claim", default="user_id", help="the token's claim with the user's id (default: user_id)"
    )
    parser.add_argument(
        "--live", action="store_true", help="the stage has live keys: leave an unpaid order in live mode"
    )
    parser.add_argument("--webhook-blocked", action="store_true", help="the stage has WebhookFromRazorpayOnly=true")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    try:
        root = root_of(options.api)
        token = access_token(environment)
        smoke = Smoke(
            root,
            token,
            user_id(token, options.user_claim),
            lambda line: console.print(f"[green]✓[/] {_escaped(line)}"),
        )
        smoke.run(live=options.live, webhook_blocked=options.webhook_blocked)
    except SmokeError as error:
        console.print(f"[bold red]✗[/] {_escaped(str(error))}")
        return 1
    console.print("[bold green]The stage works.[/]")
    return 0


def _escaped(text: str) -> str:
    """Escape text from others: no colours, links or control characters reach the terminal."""
    return escape("".join(character if character.isprintable() else "?" for character in text))


if __name__ == "__main__":
    sys.exit(main())
