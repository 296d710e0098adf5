"""The board: what the watchers see, in parts, and what is new for each of them."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

_TOKEN_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class News:
    """An update for a watcher: `state` is everything, `change` what is new since the last update.

    `id` marks how far the watcher has got; after a reconnect it continues from there.
    """

    id: str
    kind: Literal["state", "change"]
    parts: Mapping[str, Any]


class Board:
    """Named parts, each a JSON document with the revision of its last change. Used on one event loop.

    There is no queue per watcher: a slow one gets fewer and larger changes.
    """

    def __init__(self) -> None:
        # A revision is only meaningful within this run of the server.
        self._run = secrets.token_hex(_TOKEN_BYTES)
        self._revision = 0
        self._parts: dict[str, tuple[int, Any]] = {}
        self._changed = asyncio.Event()

    def part(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Return a part, or None if there is none with this name."""
        return self._parts.get(name, (0, None))[1]

    def put(self, parts: Mapping[str, Any]) -> None:
        """Set parts; only changed ones are sent."""
        news = {name: part for name, part in parts.items() if self.part(name) != part}
        if not news:
            return
        self._revision += 1
        self._parts |= {name: (self._revision, part) for name, part in news.items()}
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def forget(self, names: Iterable[str]) -> None:
        """Drop parts. Nothing is sent: another part tells watchers that they are gone."""
        for name in names:
            self._parts.pop(name, None)

    def names(self) -> list[str]:
        """Return the names of all parts."""
        return list(self._parts)

    async def watch(self, last_id: str | None) -> AsyncGenerator[News]:
        """Yield everything, or what is new since `last_id` if that is an id of this run, and then each change."""
        known = self._revision_of(last_id)
        while True:
            # Before reading: otherwise a change in between would be missed.
            changed = self._changed
            if known is None or known < self._revision:
                parts = {name: part for name, (since, part) in self._parts.items() if known is None or since > known}
                news = News(f"{self._run}-{self._revision}", "state" if known is None else "change", parts)
                known = self._revision
                yield news
            else:
                await changed.wait()

    def _revision_of(self, news_id: str | None) -> int | None:
        run, _, revision = (news_id or "").partition("-")
        if run != self._run or not (revision.isascii() and revision.isdecimal()):
            return None
        return int(revision) if int(revision) <= self._revision else None
