"""Deliver webhook events to the merchant's URL: retry until a 2xx, for 24 hours, then disable the webhook.

An event's body, signature and id are fixed when it happens, and every attempt sends the same bytes. In particular, a
secret changed later does not affect it (webhooks/validate-test.md).

The retry schedule ("ladder") is a published measurement of test-mode deliveries. The ladder scale multiplies every wait
and the 24 hours, but not the five seconds that an endpoint has to answer. The one or two deliveries observed some 14
minutes after a webhook was disabled are not modelled.

Events can be held back and released in any order, dropped, sent again, shuffled or duplicated, and lost on their way
out or back; `faults` has the switches.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiohttp

from sandbox.gateway import identifiers, signatures
from sandbox.gateway.clock import LadderClock
from sandbox.gateway.faults import Faults, Shuffle

TIMEOUT_S: Final = 5
"""A later answer counts as none (webhooks/setup-edit-payments.md)."""
GIVE_UP_AFTER_S: Final = 24 * 3600
"""After this the event is lost and the webhook is disabled (webhooks/best-practices.md). Scaled."""
RUNGS_S: Final = (
    0.0, 0.23, 6.1, 19.1, 39.5, 82.3, 164.5, 326.0, 650.0, 1293.0, 2577.0, 5140.0, 10267.0, 20508.0, 40989.0, 81953.0,
)  # fmt: skip
"""The time of each attempt after the first, if the endpoint answers 5xx at once: 16 deliveries. Scaled."""
QUICKLY_RETRIED: Final = frozenset({"payment.authorized", "payment.captured", "order.paid"})
"""Only these events have the second step, 0.23 s, and only after a 5xx. The others start at 6 to 9 s."""
MOST_AT_ONCE: Final = 256
"""Concurrent attempts. Razorpay has no such limit, but this machine's sockets do."""
IDLE_CONNECTION_S: Final = 4
"""Shorter than the five seconds after which common servers close an idle connection, possibly during a delivery."""

State = Literal["pending", "held", "delivered", "expired", "dropped", "not_sent"]
Outcome = Literal["ok", "refused", "timeout", "unreachable", "lost", "ignored"]
Order = Literal["as_happened", "reversed", "shuffled"]

_log = logging.getLogger("sandbox.gateway")


class UndeliverableError(ValueError):
    """The events cannot be released, dropped or sent again. The message says which and why; nothing was done."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of an event: when (Unix seconds), the status code or None, and how long it took.

    `lost`: it was never sent. `ignored`: the endpoint answered, but the stand-in acts as if it had not. `extra`: sent
    outside the retry schedule, as a duplicate or on demand.
    """

    at: float
    status: int | None
    outcome: Outcome
    duration_ms: int
    extra: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/events` shows it."""
        return {
            "at": round(self.at, 3),
            "status": self.status,
            "outcome": self.outcome,
            "duration_ms": self.duration_ms,
            "extra": self.extra,
        }


@dataclass(slots=True)
class Event:
    """A webhook event and its deliveries; `number` counts the account's events from 0."""

    number: int
    name: str
    body: bytes
    signature: str | None
    order_id: str | None
    payment_id: str | None
    refund_id: str | None
    created_at: float
    dispute_id: str | None = None
    id: str = field(default_factory=identifiers.bare)
    state: State = "pending"
    attempts: list[Attempt] = field(default_factory=list)

    def headers(self) -> dict[str, str]:
        """Return the request's headers. There is no attempt counter, and no signature without a secret."""
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
        """Return it as `/_control/events` shows it."""
        entry: dict[str, Any] = {
            "event_id": self.id,
            "event": self.name,
            "order_id": self.order_id,
            "payment_id": self.payment_id,
            "refund_id": self.refund_id,
            "dispute_id": self.dispute_id,
            "created_at": round(self.created_at, 3),
            "state": self.state,
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }
        if with_body:
            entry |= {"signature": self.signature, "body": self.body.decode()}
        return entry


_NEVER_SENT: Final = frozenset[State]({"held", "dropped", "not_sent"})


@dataclass(slots=True)
class Webhook:
    """Where events go, and the secret that signs them; without a URL nothing is delivered."""

    url: str | None
    secret: str
    enabled: bool = True


class Deliveries:
    """Every event of the account and its deliveries. Used on one event loop, between `start` and `stop`.

    Args:
        webhook: where to deliver.
        scale: how many real seconds one of Razorpay's seconds takes in the retry schedule.
        faults: returns the current switches.
    """

    def __init__(self, webhook: Webhook, *, scale: float, faults: Callable[[], Faults] = Faults) -> None:
        self.webhook = webhook
        self.clock = LadderClock(scale)
        self.events: list[Event] = []
        self._first_scale = scale
        self._faults = faults
        self._window: list[Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the client."""
        # The semaphore is the limit: with aiohttp's own, waiting for a connection would use up an attempt's five
        # seconds.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            skip_auto_headers=("Accept", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Drop all waiting deliveries and close the client."""
        await self._drop_tasks()
        if self._session is not None:
            await self._session.close()

    async def forget(self) -> None:
        """Drop every event, delivered or not, and reset the clock's speed."""
        await self._drop_tasks()
        self.events.clear()
        self._window.clear()
        self.clock.scale = self._first_scale

    def send(  # noqa: PLR0913 - the event, and the kinds of entity that it may be about
        self,
        name: str,
        body: bytes,
        *,
        order_id: str | None,
        payment_id: str | None,
        refund_id: str | None,
        dispute_id: str | None = None,
    ) -> Event:
        """Sign the event with the current secret and start delivering it.

        Without a URL, or with a disabled webhook, it is only noted: Razorpay never delivers such events later.
        """
        webhook, faults = self.webhook, self._faults()
        signature = signatures.of_webhook(webhook.secret, body) if webhook.secret else None
        event = Event(len(self.events), name, body, signature, order_id, payment_id, refund_id, created_at=time.time())
        event.dispute_id = dispute_id
        self.events.append(event)
        if webhook.url is None or not webhook.enabled:
            event.state = "not_sent"
        elif faults.webhooks == "hold" or order_id in faults.held_orders:
            event.state = "held"
        elif faults.shuffle is not None:
            self._window.append(event)
            if len(self._window) == 1:
                self._start(self._deliver_window(faults.shuffle))
        else:
            self._start(self._deliver(event))
        return event

    # --- on demand ---

    def release(
        self, event_ids: Sequence[str] | None, *, order: Order, seed: int = 0, drop: Sequence[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Release held events one at a time, each after the previous one was answered, whatever the answer.

        Args:
            event_ids: the events, in this order; None for all held events.
            order: the order for all held events.
            seed: the seed of the order `shuffled`.
            drop: events that are never sent.

        Returns:
            The ids that are sent, in order, and those still held.

        Raises:
            UndeliverableError: some are not held, or there is no URL.
        """
        dropped = self._held(drop)
        if event_ids is None:
            leaving = [event for event in self.events if event.state == "held" and event not in dropped]
            if order == "reversed":
                leaving.reverse()
            elif order == "shuffled":
                random.Random(seed).shuffle(leaving)  # noqa: S311 - repeatable randomness, not a secret
        else:
            leaving = self._held(event_ids)
            if both := [event.id for event in leaving if event in dropped]:
                raise UndeliverableError(f"either released or dropped, not both: {', '.join(both)}")
        if leaving and (self.webhook.url is None or not self.webhook.enabled):
            raise UndeliverableError("there is nowhere to send them: set the webhook's url first")
        for event in dropped:
            event.state = "dropped"
        for event in leaving:
            event.state = "pending"
        self._start(self._deliver_in_turn(leaving))
        return [event.id for event in leaving], [event.id for event in self.events if event.state == "held"]

    async def redeliver(self, event_ids: Sequence[str]) -> list[Attempt]:
        """Send events once more, now and in parallel: the same bytes, id and signature. Their retry schedules continue.

        Raises:
            UndeliverableError: some were never sent, or there is no URL.
        """
        events = self._known(event_ids)
        if wrong := [f"{event.id} is {event.state}" for event in events if event.state in _NEVER_SENT]:
            raise UndeliverableError(f"only what was sent can be sent again; {', '.join(wrong)}")
        if self.webhook.url is None:
            raise UndeliverableError("there is nowhere to send them: set the webhook's url first")
        return list(await asyncio.gather(*(self._attempt(event, extra=True) for event in events)))

    def _held(self, event_ids: Sequence[str]) -> list[Event]:
        events = self._known(event_ids)
        if wrong := [f"{event.id} is {event.state}" for event in events if event.state != "held"]:
            raise UndeliverableError(f"only held events can be released or dropped; {', '.join(wrong)}")
        return events

    def _known(self, event_ids: Sequence[str]) -> list[Event]:
        by_id = {event.id: event for event in self.events}
        if unknown := [event_id for event_id in event_ids if event_id not in by_id]:
            raise UndeliverableError(f"there is no event {', '.join(unknown)}; GET /_control/events lists them")
        if len(set(event_ids)) != len(event_ids):
            raise UndeliverableError("an event id is given twice")
        return [by_id[event_id] for event_id in event_ids]

    # --- the ladder ---

    def _start(self, delivering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(delivering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Event) -> None:
        deadline = self.clock.now() + GIVE_UP_AFTER_S
        await self._climb(event, await self._attempt(event), deadline)

    async def _deliver_in_turn(self, events: Iterable[Event]) -> None:
        for event in events:
            if self.webhook.url is None or not self.webhook.enabled:
                event.state = "not_sent"
                continue
            deadline = self.clock.now() + GIVE_UP_AFTER_S
            first = await self._attempt(event)
            self._start(self._climb(event, first, deadline))

    async def _deliver_window(self, shuffle: Shuffle) -> None:
        await asyncio.sleep(shuffle.window_s)
        events, self._window = self._window, []
        shuffle.mix(events)
        await self._deliver_in_turn(events)

    async def _climb(self, event: Event, first: Attempt, deadline: float) -> None:
        """Follow the retry schedule after the first attempt, if it failed; times are on the schedule's clock."""
        if first.outcome == "ok":
            await self._delivered(event)
            return
        # From the end of the first attempt: an endpoint that takes five seconds without answering is retried five
        # seconds later, as measured.
        base = self.clock.now()
        for rung_s in _rungs(event, first):
            if base + rung_s > deadline:
                break
            await self.clock.wait_until(base + rung_s)
            if not self.webhook.enabled or self.webhook.url is None:
                event.state = "expired"
                return
            if (await self._attempt(event)).outcome == "ok":
                await self._delivered(event)
                return
        await self.clock.wait_until(deadline)
        event.state = "expired"
        if self.webhook.enabled:
            self.webhook.enabled = False
            _log.warning("webhook disabled: %s %s was not accepted in 24 h (scaled)", event.name, event.id)

    async def _delivered(self, event: Event) -> None:
        event.state = "delivered"
        duplicates = self._faults().duplicates
        if duplicates is not None and duplicates.strikes(event.number, 0):
            await self._attempt(event, extra=True)

    async def _attempt(self, event: Event, *, extra: bool = False) -> Attempt:
        async with self._at_once:
            at, begun = time.time(), time.perf_counter()
            status, outcome = await self._pass_on(event)
            duration_ms = round((time.perf_counter() - begun) * 1000)
            attempt = Attempt(at, status, outcome, duration_ms, extra=extra)
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

    async def _pass_on(self, event: Event) -> tuple[int | None, Outcome]:
        """Post the event, unless it is lost before that, or its answer after."""
        faults, attempt = self._faults(), len(event.attempts)
        if faults.lost_deliveries is not None and faults.lost_deliveries.strikes(event.number, attempt):
            return None, "lost"
        status, outcome = await self._post(event)
        if (
            outcome == "ok"
            and faults.ignored_answers is not None
            and faults.ignored_answers.strikes(event.number, attempt)
        ):
            return status, "ignored"
        return status, outcome

    async def _post(self, event: Event) -> tuple[int | None, Outcome]:
        if self._session is None or self.webhook.url is None:
            return None, "unreachable"
        try:
            # A redirect is an answer that is not 2xx, like any other.
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
    """Return when the event is retried, in unscaled seconds after the first attempt."""
    failed_at_once = first.outcome in {"unreachable", "lost"} or (first.status is not None and first.status >= 500)  # noqa: PLR2004 - 5xx
    return RUNGS_S[1:] if failed_at_once and event.name in QUICKLY_RETRIED else RUNGS_S[2:]
