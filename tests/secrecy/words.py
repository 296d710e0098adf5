"""What must never leave the service: by its very words, and by its form."""

import json
import re
from collections.abc import Iterable
from typing import Final

from sandbox import development, events

SECRETS: Final = (
    development.RAZORPAY_KEY_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET,
    development.RAZORPAY_WEBHOOK_SECRET_PREVIOUS,
    development.JWT_SECRET,
)
MARK: Final = "cnry"
"""Every canary has it, and nothing else does."""
_WORDS: Final = (*SECRETS, *events.PERSONAL, MARK)
_FORMS: Final = {
    "a token": re.compile(r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+"),
    "a signature": re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])"),
    "an e-mail address": re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
    "a phone number": re.compile(r"\+[0-9]{10,15}"),
    "credentials": re.compile(r"\b(Bearer|Basic) [A-Za-z0-9+/=._-]{8,}"),
    "a private key": re.compile(r"PRIVATE KEY"),
    "a key of AWS": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a stack trace": re.compile(r"Traceback \(most recent call last\)"),
}


def found(text: str, *more: str) -> list[str]:
    """What of that is in a text, by name and never by its value.

    Args:
        text: whatever left the service.
        more: words of this test's own.
    """
    # As it is, and with escapes read: a log line is JSON, and may hold JSON.
    forms = {text, text.replace("\\/", "/"), text.encode("ascii", "backslashreplace").decode()}
    words = [
        word for word in (*_WORDS, *more) if word and any(spelt in form for form in forms for spelt in _spellings(word))
    ]
    return [
        *(f"the word {_WORDS.index(word)}" if word in _WORDS else "a word of the test" for word in words),
        *(name for name, form in _FORMS.items() if any(form.search(one) for one in forms)),
    ]


def _spellings(word: str) -> Iterable[str]:
    for _ in range(3):
        yield word
        word = json.dumps(word)[1:-1]
