"""The switches that make the gateway misbehave, read and set at `/_control/faults`.

There is one field per switch, and its default is the gateway's correct behaviour, so that a reset is `Faults()`. A
switch of the account is read where its rule is decided (`world`), a switch of the API in `api.Api._guard`, and a switch
of the webhooks in `deliveries`. Randomness comes from a seed, so that a run can be repeated, and every injected fault
is counted.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self, get_args

from sandbox.gateway.entities import Platform

ApiFaultName = Literal[
    "429_burst",
    "429_cool_down",
    "400_cool_down",
    "400_unknown_id",
    "400_unknown_url",
    "400_older_than_180_days",
    "400_key",
    "401_key",
    "409_refund_in_progress",
    "500",
    "502",
    "503",
    "504",
    "hang",
    "reset",
    "answer_lost",
]
ROUTES: Final = (
    "POST /v1/orders",
    "GET /v1/orders",
    "GET /v1/orders/{order_id}",
    "GET /v1/orders/{order_id}/payments",
    "GET /v1/payments",
    "GET /v1/payments/{payment_id}",
    "POST /v1/payments/{payment_id}/capture",
    "POST /v1/payments/{payment_id}/refund",
    "GET /v1/payments/{payment_id}/refunds",
    "GET /v1/refunds",
    "GET /v1/refunds/{refund_id}",
    "GET /v1/disputes",
    "GET /v1/disputes/{dispute_id}",
    "GET /v1/settlements",
    "GET /v1/settlements/recon/combined",
)
"""Every route of the API, as a fault names it."""
METHODS: Final = ("GET", "POST")
DEFAULT_SHUFFLE_WINDOW_S: Final = 0.3
"""Several times longer than the three events of one payment take to happen."""
LONGEST_SHUFFLE_WINDOW_S: Final = 60
LONGEST_S: Final = 366 * 86400
"""A year; more is a mistake."""


class UnknownSwitchError(ValueError):
    """No such switch, or no such value; the message lists the possible ones."""


@dataclass(slots=True)
class ApiFault:
    """Affects calls of the API: the first `times` that match, a share of them, or all."""

    fault: ApiFaultName
    route: str | None = None
    """`POST /v1/orders`, `POST`, or None for every call."""
    times: int | None = None
    share: float | None = None
    seed: int = 0
    id: str | None = None
    """Affect only calls with this id in their path; None for every call."""
    played: int = 0
    _chance: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - repeatable randomness, not a secret

    def strikes(self, method: str, path: str, ids: Collection[str] = ()) -> bool:
        """Return whether it affects this call, and count it as played if so.

        Args:
            method: such as `GET`.
            path: the route's path, with `{order_id}`.
            ids: the ids in place of the placeholders.
        """
        if self.route not in {None, method, f"{method} {path}"}:
            return False
        if self.id is not None and self.id not in ids:
            return False
        if self.times is not None and self.played >= self.times:
            return False
        if self.share is not None and self._chance.random() >= self.share:
            return False
        self.played += 1
        return True

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/faults` shows it."""
        return {
            "route": self.route,
            "fault": self.fault,
            "id": self.id,
            "times": self.times,
            "share": self.share,
            "seed": self.seed,
            "played": self.played,
        }


SUMS: Final = ("amount", "credit", "debit", "fee", "tax")
"""The fields of a row of the settlement report that an error can change."""
MOST_COPIES: Final = 10


@dataclass(slots=True)
class RowFault:
    """An error in the settlement report: a row with other sums, a missing row, or one that is there several times."""

    entity_id: str
    add: Mapping[str, int] = field(default_factory=dict)
    """By field, what to add to it, in minor units."""
    copies: int = 1
    played: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/faults` shows it."""
        return {"entity_id": self.entity_id, "add": dict(self.add), "copies": self.copies, "played": self.played}


@dataclass(slots=True)
class Chance:
    """A share of deliveries that something happens to.

    Drawn separately for each event and attempt, so that the result depends on the seed and the account's history, and
    not on which of many concurrent deliveries is first.
    """

    share: float
    seed: int = 0
    played: int = 0

    def strikes(self, event_number: int, attempt: int) -> bool:
        """Return whether it affects this attempt (both counted from 0), and count it as played if so."""
        drawn = random.Random(f"{self.seed}/{event_number}/{attempt}").random()  # noqa: S311 - repeatable randomness, not a secret
        if drawn >= self.share:
            return False
        self.played += 1
        return True

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/faults` shows it."""
        return {"share": self.share, "seed": self.seed, "played": self.played}


@dataclass(slots=True)
class Shuffle:
    """Events are collected for `window_s` seconds from the first, and sent one after the other in random order."""

    seed: int = 0
    window_s: float = DEFAULT_SHUFFLE_WINDOW_S
    played: int = 0
    _chance: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - repeatable randomness, not a secret

    def mix[T](self, events: list[T]) -> None:
        """Shuffle the events, and count them as played."""
        self._chance.shuffle(events)
        self.played += len(events)

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/faults` shows it."""
        return {"seed": self.seed, "window_s": self.window_s, "played": self.played}


@dataclass(frozen=True, slots=True)
class Faults:
    """The state of every switch."""

    duplicate_receipts: Literal["accept", "refuse"] = "accept"
    """The docs call receipts unique but show duplicates in a sample; real accounts have been seen to accept them."""
    key_errors: Literal["400", "401"] = "400"
    """The status of a call with wrong keys: 400 on the API pages, 401 in api/understand.md."""
    max_amount: int | None = None
    """The maximum amount of an order, in minor units; None for no limit. Razorpay sets it per account."""
    fee_bearer: Literal["platform", "customer"] = "platform"
    """Who pays Razorpay's fee. The customer pays it in addition to the order's amount."""
    fee_reported: Literal["at_capture", "later"] = "at_capture"
    """When a payment's `fee` and `tax` are known; `later` means on a control call."""
    balance: Literal["enough", "insufficient"] = "enough"
    """Whether the account can pay a refund. Some got a refusal worded like a bad request (razorpay-node#454)."""
    checkout_platform: Platform = "web"
    """Where Checkout runs, unless the payment request says otherwise: mobile SDKs return more fields."""
    auto_refund_after_s: float = 3 * 86400
    """When an authorized payment is returned uncaptured: three days (payments/payments/capture-settings.md), or five
    (payments/payments/capture-settings/api.md)."""
    no_answer_after_s: float = 600
    """When a payment without its bank's answer fails (payments/payments/late-authorisation.md)."""
    lists_lag_s: float = 0
    """The age of the account's lists: orders, payments, refunds. Minutes were observed (published measurement)."""
    refund_lists_lag_s: float = 0
    """How old the lists of refunds are, while a payment's `amount_refunded` is up to date."""
    order_payments_lag_s: float = 0
    """How old an order's list of payments is, while the order itself is up to date."""
    refunds: Literal["processed", "pending"] = "processed"
    """Test mode refunds at once; live mode takes days and may fail (api/refunds/entity.md)."""
    refund_keys: Literal["honoured", "ignored"] = "honoured"
    """Whether `X-Refund-Idempotency` has an effect: it is not confirmed for test mode (docs: "Test S2S", Retries and
    Idempotency)."""
    webhooks: Literal["send", "hold"] = "send"
    """Held events are sent when released at `/_control/events/release`, in any order, or never."""
    held_orders: tuple[str, ...] = ()
    """Orders whose events are held regardless of the others, so that playing with one order affects no other."""
    shuffle: Shuffle | None = None
    duplicates: Chance | None = None
    """Accepted deliveries that are sent again (webhooks/best-practices.md)."""
    lost_deliveries: Chance | None = None
    """Deliveries that never reach the endpoint."""
    ignored_answers: Chance | None = None
    """Deliveries whose answer is lost on its way back: the endpoint gets an event again that it has processed."""
    api: tuple[ApiFault, ...] = ()
    settlement_report: tuple[RowFault, ...] = ()
    """Errors in the settlement report. They change neither the account nor the settlement's own amount."""

    def switched(self, settings: dict[str, Any]) -> Self:
        """Return these switches with some of them set. A switch that is set to its current value also starts over.

        Raises:
            UnknownSwitchError: nothing was changed.
        """
        known = {switch.name for switch in fields(self)}
        if unknown := sorted(set(settings) - known):
            raise UnknownSwitchError(f"there is no switch {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
        switched = replace(self, **{name: _POSITIONS[name](name, given) for name, given in settings.items()})
        if switched.webhooks == "hold" and switched.shuffle is not None:
            raise UnknownSwitchError(
                "webhooks: hold and shuffle exclude each other; set shuffle to null and release with order: shuffled"
            )
        return switched

    @property
    def status_of_key_errors(self) -> int:
        """Return the HTTP status of a call with wrong keys."""
        return int(self.key_errors)

    def of_call(self, method: str, path: str, ids: Collection[str] = ()) -> ApiFaultName | None:
        """Return the first fault in the list that affects this call, or None; see `ApiFault.strikes`."""
        return next((rule.fault for rule in self.api if rule.strikes(method, path, ids)), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as `/_control/faults` shows it."""
        chances: dict[str, Chance | Shuffle | None] = {
            "shuffle": self.shuffle,
            "duplicates": self.duplicates,
            "lost_deliveries": self.lost_deliveries,
            "ignored_answers": self.ignored_answers,
        }
        return {
            "duplicate_receipts": self.duplicate_receipts,
            "key_errors": self.key_errors,
            "max_amount": self.max_amount,
            "fee_bearer": self.fee_bearer,
            "fee_reported": self.fee_reported,
            "balance": self.balance,
            "checkout_platform": self.checkout_platform,
            "auto_refund_after_s": self.auto_refund_after_s,
            "no_answer_after_s": self.no_answer_after_s,
            "lists_lag_s": self.lists_lag_s,
            "refund_lists_lag_s": self.refund_lists_lag_s,
            "order_payments_lag_s": self.order_payments_lag_s,
            "refunds": self.refunds,
            "refund_keys": self.refund_keys,
            "webhooks": self.webhooks,
            "held_orders": list(self.held_orders),
            **{name: None if chance is None else chance.to_json() for name, chance in chances.items()},
            "api": [rule.to_json() for rule in self.api],
            "settlement_report": [rule.to_json() for rule in self.settlement_report],
        }


# --- reading positions ---


def _one_of(*positions: str) -> Callable[[str, Any], str]:
    def read(name: str, given: Any) -> str:  # noqa: ANN401 - JSON
        if not isinstance(given, str) or given not in positions:
            raise UnknownSwitchError(f"{name} can be: {', '.join(positions)}")
        return given

    return read


def _seconds(name: str, given: Any) -> float:  # noqa: ANN401 - JSON
    if not _is_number(given) or not 0 <= given <= LONGEST_S:
        raise UnknownSwitchError(f"{name} must be a number of seconds from 0 to {LONGEST_S}")
    return float(given)


def _amount(name: str, given: Any) -> int | None:  # noqa: ANN401 - JSON
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < 1):
        raise UnknownSwitchError(f"{name} must be a whole number of minor units from 1, null for none")
    return given


def _order_ids(name: str, given: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    if not isinstance(given, list) or not all(isinstance(order_id, str) for order_id in given):
        raise UnknownSwitchError(f"{name} must be a list of order ids, [] for none")
    return tuple(given)


def _chance(name: str, given: Any) -> Chance | None:  # noqa: ANN401 - JSON
    if given is None:
        return None
    parts = _object(name, given, {"share", "seed"})
    return Chance(_share(f"{name}.share", parts.get("share")), _seed(f"{name}.seed", parts.get("seed", 0)))


def _shuffle(name: str, given: Any) -> Shuffle | None:  # noqa: ANN401 - JSON
    if given is None:
        return None
    parts = _object(name, given, {"seed", "window_s"})
    window_s = parts.get("window_s", DEFAULT_SHUFFLE_WINDOW_S)
    if not _is_number(window_s) or not 0 < window_s <= LONGEST_SHUFFLE_WINDOW_S:
        raise UnknownSwitchError(f"{name}.window_s must be more than 0 and at most {LONGEST_SHUFFLE_WINDOW_S} seconds")
    return Shuffle(_seed(f"{name}.seed", parts.get("seed", 0)), window_s)


def _api(name: str, given: Any) -> tuple[ApiFault, ...]:  # noqa: ANN401 - JSON
    if not isinstance(given, list):
        raise UnknownSwitchError(f"{name} must be a list of faults, [] for none")
    return tuple(_api_fault(f"{name}[{number}]", rule) for number, rule in enumerate(given))


def _api_fault(name: str, given: Any) -> ApiFault:  # noqa: ANN401 - JSON
    parts = _object(name, given, {"route", "fault", "id", "times", "share", "seed"})
    route, times, share = parts.get("route"), parts.get("times"), parts.get("share")
    fault = next((known for known in get_args(ApiFaultName) if known == parts.get("fault")), None)
    if fault is None:
        raise UnknownSwitchError(f"{name}.fault can be: {', '.join(get_args(ApiFaultName))}")
    if route is not None and route not in (*METHODS, *ROUTES):
        raise UnknownSwitchError(f"{name}.route can be: {', '.join((*METHODS, *ROUTES))}")
    if fault == "answer_lost" and (route is None or not route.startswith("POST")):
        posts = [known for known in ROUTES if known.startswith("POST")]
        raise UnknownSwitchError(
            f"{name}: answer_lost is for calls that change something; its route can be: {', '.join(['POST', *posts])}"
        )
    if parts.get("id") is not None:
        _check_id(name, parts["id"], route)
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise UnknownSwitchError(f"{name}.times must be a whole number from 1")
    if share is None and "seed" in parts:
        raise UnknownSwitchError(f"{name}.seed needs a share")
    return ApiFault(
        fault,
        route,
        times,
        None if share is None else _share(f"{name}.share", share),
        _seed(f"{name}.seed", parts.get("seed", 0)),
        parts.get("id"),
    )


def _rows(name: str, given: Any) -> tuple[RowFault, ...]:  # noqa: ANN401 - JSON
    if not isinstance(given, list):
        raise UnknownSwitchError(f"{name} must be a list of errors, [] for none")
    return tuple(_row_fault(f"{name}[{number}]", rule) for number, rule in enumerate(given))


def _row_fault(name: str, given: Any) -> RowFault:  # noqa: ANN401 - JSON
    parts = _object(name, given, {"entity_id", "add", "copies"})
    add, copies = _object(f"{name}.add", parts.get("add", {}), set(SUMS)), parts.get("copies", 1)
    if not isinstance(parts.get("entity_id"), str):
        raise UnknownSwitchError(f"{name}.entity_id must be the id of a row, such as a payment's or a refund's")
    if not all(isinstance(by, int) and not isinstance(by, bool) for by in add.values()):
        raise UnknownSwitchError(f"{name}.add must have whole numbers of minor units")
    if not isinstance(copies, int) or isinstance(copies, bool) or not 0 <= copies <= MOST_COPIES:
        raise UnknownSwitchError(f"{name}.copies must be a whole number from 0 to {MOST_COPIES}")
    return RowFault(parts["entity_id"], dict(add), copies)


def _check_id(name: str, given: Any, route: str | None) -> None:  # noqa: ANN401 - JSON
    if not isinstance(given, str):
        raise UnknownSwitchError(f"{name}.id must be the id of an order, a payment, a refund or a dispute")
    if route is not None and route not in METHODS and "{" not in route:
        raise UnknownSwitchError(f"{name}: there is no id in the path of {route}")


def _object(name: str, given: Any, known: set[str]) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    if not isinstance(given, dict) or (set(given) - known):
        raise UnknownSwitchError(f"{name} must be an object of: {', '.join(sorted(known))}")
    return given


def _share(name: str, given: Any) -> float:  # noqa: ANN401 - JSON
    if not _is_number(given) or not 0 <= given <= 1:
        raise UnknownSwitchError(f"{name} must be a number from 0 to 1")
    return float(given)


def _seed(name: str, given: Any) -> int:  # noqa: ANN401 - JSON
    if not isinstance(given, int) or isinstance(given, bool):
        raise UnknownSwitchError(f"{name} must be a whole number")
    return given


def _is_number(given: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(given, int | float) and not isinstance(given, bool)


_POSITIONS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "duplicate_receipts": _one_of("accept", "refuse"),
    "key_errors": _one_of("400", "401"),
    "max_amount": _amount,
    "fee_bearer": _one_of("platform", "customer"),
    "fee_reported": _one_of("at_capture", "later"),
    "balance": _one_of("enough", "insufficient"),
    "checkout_platform": _one_of(*get_args(Platform)),
    "auto_refund_after_s": _seconds,
    "no_answer_after_s": _seconds,
    "lists_lag_s": _seconds,
    "refund_lists_lag_s": _seconds,
    "order_payments_lag_s": _seconds,
    "refunds": _one_of("processed", "pending"),
    "refund_keys": _one_of("honoured", "ignored"),
    "webhooks": _one_of("send", "hold"),
    "held_orders": _order_ids,
    "shuffle": _shuffle,
    "duplicates": _chance,
    "lost_deliveries": _chance,
    "ignored_answers": _chance,
    "api": _api,
    "settlement_report": _rows,
}
