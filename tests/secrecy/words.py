"""What must never leave the service: exact words, and patterns."""

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
    development.QUOTE_SECRET,
)
MARK: Final = "cnry"
"""Part of every canary, and of nothing else."""
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


def _spellings(word: str) -> Iterable[str]:
    """The word itself, and as encoded in one or two layers of JSON."""
    for _ in range(3):
        yield word
        word = json.dumps(word)[1:-1]


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(spelt) for word in words for spelt in _spellings(word)))


_ANY_WORD: Final = _any_of(_WORDS)


def found(text: str, *more: str) -> list[str]:
    """The forbidden words in a text, by name and never by value.

    Args:
        text: something that left the service.
        more: additional words of this test.
    """
    said = []
    if _ANY_WORD.search(text):
        said = [f"the word {number}" for number, word in enumerate(_WORDS) if _any_of([word]).search(text)]
    said += ["a word of the test" for word in more if _any_of([word]).search(text)]
    return said + [name for name, form in _FORMS.items() if form.search(text)]
