"""Print an access token of any user for the service that `make run` serves: `make token USER=42`.

The token is what an identity service would issue, signed with the documented local secret; no deployed stage accepts
it. Only the token goes to standard output, so that `TOKEN=$(make -s token USER=42)` works.
"""

import argparse
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

import requests

from sandbox import development, running

MAX_USER: Final = 2**53 - 1
"""The largest id that a JSON number holds exactly everywhere; the service accepts no larger one."""
MINUTES: Final = 12 * 60
MAX_MINUTES: Final = 366 * 24 * 60
"""A year; nobody needs a longer one for a realistic test."""
REQUEST_SECONDS: Final = 30
"""A function's cold start on a slow machine, with a margin."""
_UNKNOWN_ORDER: Final = "order_AAAAAAAAAAAAAA"
# "scope-token *( SP scope-token )" (RFC 6749, 3.3), short enough for a header.
_SCOPE: Final = re.compile(r"(?=.{1,500}\Z)[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")


class NoTokenError(Exception):
    """There is no token to print; the message says what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Print the token and return 0 if the service accepts it, or 1 with a message about the reason and what to do."""
    parser = argparse.ArgumentParser(prog="make token", description=__doc__)
    parser.add_argument("--user", default="", help="the user's id on the platform")
    parser.add_argument("--minutes", default="", help=f"how long it is valid (default: {MINUTES})")
    parser.add_argument("--scope", default="", help="space-separated scopes, for your own code; we need none")
    running.add_run_dir(parser)
    given = parser.parse_args(arguments)
    try:
        user = _number(given.user, "USER", MAX_USER, missing="USER is missing. Name the user: make token USER=42")
        minutes = _number(given.minutes, "MINUTES", MAX_MINUTES) if given.minutes else MINUTES
        scope = _scope(given.scope) if given.scope else None
        endpoints = running.endpoints_of(given.run_dir, "api", "jwt_secret")
        lifetime = timedelta(minutes=minutes)
        token = development.token(user, secret=endpoints["jwt_secret"], lifetime=lifetime, scope=scope)
        _try(endpoints["api"], token)
    except (NoTokenError, running.NotRunningError) as error:
        print(error, file=sys.stderr)
        return 1
    until = (datetime.now(UTC) + lifetime).astimezone()
    print(f"User {user}, valid until {until:%Y-%m-%d %H:%M}, at {endpoints['api']}.", file=sys.stderr)
    print(token)
    return 0


def _number(text: str, name: str, most: int, missing: str = "") -> int:
    if missing and not text:
        raise NoTokenError(missing)
    # Not int() alone: it accepts spaces, signs, underscores and the digits of every script.
    if not re.fullmatch(r"[0-9]{1,16}", text) or not 1 <= int(text) <= most:
        raise NoTokenError(f"{name} must be an integer from 1 to {most}, such as make token USER=42 MINUTES=15.")
    return int(text)


def _scope(text: str) -> str:
    if not _SCOPE.fullmatch(text):
        raise NoTokenError(
            'SCOPE must be scopes with single spaces between: make token USER=42 SCOPE="jobs:read jobs:pay"'
        )
    return text


def _try(api: str, token: str) -> None:
    """Ask the service for an order that nobody has: if it accepts the token, it answers that there is none.

    Raises:
        NoTokenError: it does not accept the token, or does not answer.
    """
    url = f"{api}/api/payments/{_UNKNOWN_ORDER}/"
    with requests.Session() as session:
        # This machine's own address: no proxy from the environment leads there.
        session.trust_env = False
        try:
            answer = session.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=REQUEST_SECONDS)
        except requests.ConnectionError as error:
            raise NoTokenError(f"Nothing answers at {api}: start the service with `make run`.") from error
        except requests.Timeout as error:
            raise NoTokenError(f"{api} did not answer in {REQUEST_SECONDS} s; see the logs of `make run`.") from error
    if answer.status_code == requests.codes.unauthorized:
        raise NoTokenError(f"The service at {api} does not accept the token: stop `make run` and start it again.")
    if answer.status_code != requests.codes.not_found:
        raise NoTokenError(f"The service at {api} answered {answer.status_code}; see the logs of `make run`.")


if __name__ == "__main__":
    sys.exit(main())
