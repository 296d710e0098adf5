"""The way of a webhook event to the merchant's URL: delivered until a 2xx, for 24 hours, then the webhook is disabled.

An event's body, signature and id are fixed when it happens and are the same bytes in every attempt; in particular a
secret changed later does not touch it (webhooks/validate-test.md).

The ladder is a published measurement of test-mode deliveries. Every wait and the 24 hours are multiplied by the ladder
scale; the five seconds an endpoint has to answer are not.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp

from sandbox.gateway import identifiers, signatures

TIMEOUT_S: Final = 5
"""An answer later than this counts as none (webhooks/setup-edit-payments.md)."""
GIVE_UP_AFTER_S: Final = 24 * 3600
"""After this the event is lost and the webhook disabled (webhooks/best-practices.md). Scaled."""
RUNGS_S: Final = (
    0.0, 0.23, 6.1, 19.1, 39.5, 82.3, 164.5, 326.0, 650.0, 1293.0, 2577.0, 5140.0, 10267.0, 20508.0, 40989.0, 81953.0,
)  # fmt: skip
"""When each attempt happens after the first, if the endpoint answers 5xx at once: 16 deliveries. Scaled."""
QUICKLY_RETRIED: Final = frozenset({"payment.authorized", "payment.captured", "order.paid"})
"""Only these events have the second rung, 0.23 s, and only after a 5xx; the others begin at 6 to 9 s."""
MOST_AT_ONCE: Final = 256
"""Attempts under way at the same time. Razorpay has no such limit; this machine's sockets have."""
IDLE_CONNECTION_S: Final = 4
"""Shorter than the five seconds after which common servers close an idle connection, perhaps under a delivery."""

State = Literal["pending", "delivered", "expired", "not_sent"]

_log = logging.getLogger("sandbox.gateway")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of an event: when (Unix seconds), the status code or None, and how long it took."""

    at: float
    status: int | None
    outcome: Literal["ok", "refused", "timeout", "unreachable"]
    duration_ms: int

    def to_json(self) -> dict[str, Any]:
        """As `/_control/events` prints it."""
        return {
            "at": round(self.at, 3),
            "status": self.status,
            "outcome": self.outcome,
            "duration_ms": self.duration_ms,
        }


@dataclass(slots=True)
class Event:
    """A webhook event and what became of it."""

    name: str
    body: bytes
    signature: str | None
    order_id: str
    payment_id: str
    refund_id: str | None
    created_at: float
    id: str = field(default_factory=identifiers.bare)
    state: State = "pending"
    attempts: list[Attempt] = field(default_factory=list)

    def headers(self) -> dict[str, str]:
        """The request's headers; there is no attempt counter among them, and no signature without a secret."""
        headers = {
            "User-Agent": "Razorpay-Webhook/v1",
            "Content-Type": "application/json",
            "X-Razorpay-Event-Id": self.id,
            "Request-Id": self.id,
            "Accept-Encoding": "gzip",
        }
        if self.signature is not None:
            headers["X-Razorpay-Signature"] = self.signature
        return headers

    def to_json(self, *, with_body: bool) -> dict[str, Any]:
        """As `/_control/events` prints it."""
        entry: dict[str, Any] = {
            "event_id": self.id,
            "event": self.name,
            "order_id": self.order_id,
            "payment_id": self.payment_id,
            "refund_id": self.refund_id,
            "created_at": round(self.created_at, 3),
            "state": self.state,
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }
        if with_body:
            entry |= {"signature": self.signature, "body": self.body.decode()}
        return entry


@dataclass(slots=True)
class Webhook:
    """Where events go and the secret they are signed with; no URL, no deliveries."""

    url: str | None
    secret: str
    enabled: bool = True


class Deliveries:
    """Every event of the account and its deliveries. Lives on one event loop, between `start` and `stop`."""

    def __init__(self, webhook: Webhook, *, scale: float) -> None:
        self.webhook = webhook
        self.scale = scale
        self.events: list[Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        # The semaphore is the limit: aiohttp's own would spend an attempt's five seconds on waiting for a connection.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            skip_auto_headers=("Accept", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Drop what is still waiting and close the client."""
        await self._drop_tasks()
        if self._session is not None:
            await self._session.close()

    async def forget(self) -> None:
        """Drop every event, delivered or not."""
        await self._drop_tasks()
        self.events.clear()

    def send(self, name: str, body: bytes, *, order_id: str, payment_id: str, refund_id: str | None) -> None:
        """Sign the event with the present secret and deliver it from now on.

        Without a URL, or with a disabled webhook, it is only noted: Razorpay never makes up for such events.
        """
        webhook = self.webhook
        signature = signatures.of_webhook(webhook.secret, body) if webhook.secret else None
        event = Event(name, body, signature, order_id, payment_id, refund_id, created_at=time.time())
        self.events.append(event)
        if webhook.url is None or not webhook.enabled:
            event.state = "not_sent"
            return
        task = asyncio.create_task(self._deliver(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Event) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GIVE_UP_AFTER_S * self.scale
        first = await self._attempt(event)
        if first.outcome == "ok":
            event.state = "delivered"
            return
        # From the end of the first attempt: an endpoint that spends five seconds on not answering is retried five
        # seconds later, as measured.
        base = loop.time()
        for rung_s in _rungs(event, first):
            due = base + rung_s * self.scale
            if due > deadline:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not self.webhook.enabled or self.webhook.url is None:
                event.state = "expired"
                return
            if (await self._attempt(event)).outcome == "ok":
                event.state = "delivered"
                return
        await asyncio.sleep(max(0.0, deadline - loop.time()))
        event.state = "expired"
        if self.webhook.enabled:
            self.webhook.enabled = False
            _log.warning("webhook disabled: %s %s was not accepted in 24 h (scaled)", event.name, event.id)

    async def _attempt(self, event: Event) -> Attempt:
        async with self._at_once:
            at, begun = time.time(), time.perf_counter()
            status, outcome = await self._post(event)
            attempt = Attempt(at, status, outcome, duration_ms=round((time.perf_counter() - begun) * 1000))
        event.attempts.append(attempt)
        _log.info(
            "webhook %s %s attempt %d: %s, %d ms",
            event.name,
            event.id,
            len(event.attempts),
            status or outcome,
            attempt.duration_ms,
        )
        return attempt

    async def _post(self, event: Event) -> tuple[int | None, Literal["ok", "refused", "timeout", "unreachable"]]:
        if self._session is None or self.webhook.url is None:
            return None, "unreachable"
        try:
            # A redirect is an answer like any other that is not 2xx.
            async with self._session.post(
                self.webhook.url, data=event.body, headers=event.headers(), allow_redirects=False
            ) as response:
                await response.read()
        except TimeoutError:
            return None, "timeout"
        except aiohttp.ClientError:
            return None, "unreachable"
        return response.status, "ok" if response.ok and response.status < 300 else "refused"  # noqa: PLR2004 - 2xx

    async def _drop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _rungs(event: Event, first: Attempt) -> tuple[float, ...]:
    """When the event is retried, in unscaled seconds after the first attempt."""
    failed_at_once = first.outcome == "unreachable" or (first.status is not None and first.status >= 500)  # noqa: PLR2004 - 5xx
    return RUNGS_S[1:] if failed_at_once and event.name in QUICKLY_RETRIED else RUNGS_S[2:]
