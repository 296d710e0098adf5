"""The platform around the shop page: clients who sign in, and the proposals for their jobs.

It plays the platform's identity service (access tokens of five minutes, and a cookie that renews them), its Job service
(who offers what for how much) and its Application service (quotes: the signed price of a proposal). Everything about a
client is derived from their id, so nothing is stored.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from sandbox import development

ACCESS_TOKEN_LIFETIME: Final = timedelta(minutes=5)
"""The default of djangorestframework-simplejwt."""
SIGNED_IN_FOR: Final = timedelta(days=30)
_COOKIE_AUDIENCE: Final = "shop"
_NAMES: Final = ("Priya Nair", "Arjun Rao", "Kavya Menon", "Vikram Desai", "Ananya Bose", "Farhan Ali")
_OFFERS: Final = (
    (
        "Logo and brand guide for a tea shop",
        "Asha Verma",
        "Three drafts, two rounds of changes, and the files for print and web.",
        250_000,
    ),
    (
        "Booking page for a guest house",
        "Rohan Mehta",
        "A calendar, a form and an e-mail for every booking, in two weeks.",
        1_875_050,
    ),
    (
        "Product manual from Hindi to English",
        "Meera Iyer",
        "Forty pages, proofread by a second translator.",
        99_900,
    ),
)


@dataclass(frozen=True, slots=True)
class Client:
    """Someone who hires freelancers; made up, like everyone here."""

    user_id: int

    @property
    def name(self) -> str:
        """The name the page greets them with."""
        return _NAMES[self.user_id % len(_NAMES)]

    def proposals(self) -> list[dict[str, Any]]:
        """Return the open proposals for this client's jobs.

        `amount` is in rupees, as create-order takes it; `amount_minor` is the same in paise.
        """
        return [
            {
                "job_id": self.user_id * 10 + number,
                "application_id": self.user_id * 10 + number,
                "freelancer_id": 7_000_000 + number,
                "title": title,
                "freelancer": freelancer,
                "text": text,
                "amount": f"{amount_minor // 100}.{amount_minor % 100:02d}",
                "amount_minor": amount_minor,
                "currency": "INR",
            }
            for number, (title, freelancer, text, amount_minor) in enumerate(_OFFERS, start=1)
        ]

    def quote(self, application_id: int) -> str | None:
        """Return the platform's quote for one of this client's proposals; None if it is not theirs."""
        # The price is the platform's own: nothing but the id comes from the browser.
        for proposal in self.proposals():
            if proposal["application_id"] == application_id:
                return development.quote(proposal | {"client_id": self.user_id})
        return None

    def to_json(self) -> dict[str, Any]:
        """Return what the page needs to know, including an access token for the payment service."""
        return {
            "user_id": self.user_id,
            "name": self.name,
            "prefill": {"name": self.name, "email": "client@example.com", "contact": "+919876543210"},
            "proposals": self.proposals(),
            "access_token": development.token(self.user_id, lifetime=ACCESS_TOKEN_LIFETIME),
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        }

    def to_cookie(self) -> str:
        """Return a cookie that identifies the client only to the shop: it lacks the payment service's user claim."""
        claims = {
            "sub": str(self.user_id),
            "aud": _COOKIE_AUDIENCE,
            "exp": datetime.now(UTC) + SIGNED_IN_FOR,
        }
        return jwt.encode(claims, development.JWT_SECRET, algorithm="HS256")


def new_client() -> Client:
    """Return a client who has not been here before, so that every proposal is still to be paid."""
    return Client(random.SystemRandom().randrange(10_000, 10**9))


def client_of_cookie(cookie: str | None) -> Client | None:
    """Return the client a cookie belongs to, or None if it is no longer valid."""
    if cookie is None:
        return None
    try:
        claims = jwt.decode(cookie, development.JWT_SECRET, algorithms=["HS256"], audience=_COOKIE_AUDIENCE)
    except jwt.InvalidTokenError:
        return None
    return Client(int(claims["sub"]))
