"""The soak: concurrent customers on the deployed template, while Razorpay's webhooks come twice or get lost.

Each thread plays one customer through the API, as the end-to-end tests do: orders (some click twice), pays (some fail
first, some give up), verifies or not, and is refunded or not. In the end GET must show for every order what the oracle
derives from Razorpay's ledger, and each subscriber must have stored its payment once. The in-memory campaigns find
faults of single orders; this one tests the deployed system under concurrent load.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests

from sandbox import development
from sandbox.cloud.service import LocalService
from tests.e2e.platform_client import Platform, eventually
from tests.faults.campaigns import Budget, Progress, Report
from tests.oracle.books import HandedOut, Outside, Settings, read_ledger
from tests.oracle.expect import Expected, expected_orders

CUSTOMERS: Final = 1_000
_THREADS: Final = 8
_FAULTS: Final = {"lost_deliveries": 0.06, "ignored_answers": 0.04, "duplicates": 0.3}
"""A tenth of webhook deliveries fails; three in ten of the accepted ones are repeated anyway."""
_QUIET_S: Final = 300
"""An event whose deliveries are lost repeatedly arrives after minutes."""
_POLL_S: Final = 1.0


class Bought(NamedTuple):
    """The actions of one customer."""

    platform: Platform
    order_id: str
    amount_minor: int
    at: int


def run(budget: Budget, progress: Progress) -> Report:
    """Starts the whole service, soaks it, and stops it."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, LocalService.start(Path(folder)) as service:
        return soak(service, max(_THREADS, round(CUSTOMERS * budget.share)), budget.seed, progress)


def soak(service: LocalService, customers: int, seed: int, progress: Progress) -> Report:
    """Plays this many customers on a running service, and judges their orders by the oracle.

    Raises:
        AssertionError: a response was wrong, or the records disagree after five minutes.
    """
    with _faults(service, seed) as played:
        with ThreadPoolExecutor(_THREADS) as pool:
            bought = []
            for one in pool.map(lambda number: _play(service, random.Random(f"{seed}/{number}")), range(customers)):  # noqa: S311 - to be played again
                bought.append(one)
                progress(len(bought), customers)
        deadline = time.monotonic() + _QUIET_S
        while wrong := _complaints(service, bought):
            assert time.monotonic() < deadline, f"{len(wrong)} orders, such as {wrong[:5]}"
            time.sleep(_POLL_S)
    return Report(
        title="Soak: customers at once, on the deployed template",
        what=(
            f"Customers in {_THREADS} threads against what `sam build` made of the template, on the local cloud: API "
            "Gateway, Lambda, DynamoDB, EventBridge, SQS and the three subscribers, while webhooks came twice or were "
            "lost. In the end GET showed of each order what the oracle has from Razorpay's ledger alone, and each "
            "subscriber had noted its payment once."
        ),
        figures={
            "customers": customers,
            "paid": sum(bool(one.platform.inbox("job", one.order_id)) for one in bought),
            "webhooks lost, or sent again though accepted": sum(played.values()),
            "lost, doubled or differing by a paisa": 0,
        },
    )


@contextmanager
def _faults(service: LocalService, seed: int) -> Iterator[dict[str, int]]:
    """Lets the stand-in lose and repeat webhooks; counts both at the end."""
    url, played = f"{service.endpoints['razorpay']}/_control/faults", dict[str, int]()
    # Separate seeds: with a common one, the deliveries whose response is to be ignored would all be lost before.
    switches = {name: {"share": share, "seed": seed + n} for n, (name, share) in enumerate(_FAULTS.items())}
    requests.put(url, json=switches, timeout=_QUIET_S).raise_for_status()
    try:
        yield played
        document = requests.get(url, timeout=_QUIET_S).json()
        played.update({name: document[name]["played"] for name in _FAULTS})
    finally:
        requests.put(url, json=dict.fromkeys(_FAULTS), timeout=_QUIET_S).raise_for_status()


def _play(service: LocalService, dice: random.Random) -> Bought:
    """One customer's actions, drawn only from the seed and the customer's number."""
    platform, amount_minor = Platform(service), dice.randrange(1_000, 100_000_00)
    at, amount = int(time.time()), f"{amount_minor // 100}.{amount_minor % 100:02d}"
    clicks = 2 if dice.random() < 0.1 else 1
    with ThreadPoolExecutor(clicks) as pool:
        answers = pool.map(lambda _: eventually(lambda: platform.create_order(amount), _is_final), range(clicks))
        (order_id,) = {answer.json()["order_id"] for answer in answers}
    if dice.random() < 0.2:
        assert platform.pay(order_id, outcome="failure").status_code == requests.codes.bad_request
    if dice.random() < 0.9:
        checkout = platform.pay(order_id, method=dice.choice(("card", "upi", "netbanking"))).json()
        for _ in range(dice.choice((0, 1, 1, 2))):
            assert eventually(lambda: platform.verify(checkout), _is_final).status_code == requests.codes.ok
        for refunded in dice.choice(((), (), (), (amount_minor,), (100, amount_minor - 100))):
            platform.refund(checkout["razorpay_payment_id"], refunded)
    return Bought(platform, order_id, amount_minor, at)


def _is_final(answer: requests.Response) -> bool:
    """Retries these statuses: on a busy machine an instance may not start in time."""
    return answer.status_code not in {429, 500, 503, 504}


def _complaints(service: LocalService, bought: Sequence[Bought]) -> list[str]:
    """Differences of GET and the inboxes from Razorpay's data, by order."""
    document = requests.get(f"{service.endpoints['razorpay']}/_control/ledger", timeout=_QUIET_S).json()
    mine = {one.order_id for one in bought}
    document["orders"] = [order for order in document["orders"] if order["id"] in mine]
    document["payments"] = [payment for payment in document["payments"] if payment["order_id"] in mine]
    (mark,) = {order["notes"]["installation"] for order in document["orders"]}
    handed = [_handed_out(one) for one in bought]
    settings = Settings(stage=development.STAGE, installation=mark)
    expected = expected_orders(read_ledger(document), Outside(handed_out=handed), settings)
    return [f"{one.order_id}: {found}" for one in bought for found in differences(one, expected[one.order_id])]


def _handed_out(one: Bought) -> HandedOut:
    return HandedOut(
        order_id=one.order_id,
        client_id=one.platform.client_id,
        application_id=one.platform.application_id,
        fields=(one.amount_minor,),
        at=one.at,
    )


def differences(one: Bought, expected: Expected) -> Iterator[str]:
    """The differences of one order from what is expected."""
    shown: Mapping[str, Any] = one.platform.payment(one.order_id)
    fitting = [
        outcome
        for outcome in expected.outcomes
        if all(shown[name] == wanted for name, wanted in asdict(outcome.view).items())
    ]
    if not fitting:
        yield f"GET says {shown}, the books {[asdict(outcome.view) for outcome in expected.outcomes]}"
    must = all("payment.paid" in {key.type for key in outcome.events.must} for outcome in fitting)
    may = any("payment.paid" in {key.type for key in outcome.events.may} for outcome in fitting)
    for subscriber in ("job", "application"):
        notes = one.platform.inbox(subscriber, one.order_id)
        # It drops the payment if the refund came first.
        paid = "payment.paid" in notes or "payment.refunded" in notes
        if notes.count("payment.paid") > 1 or (must and not paid) or (notes and not (must or may)):
            yield f"{subscriber} noted {notes} of a payment that is {shown['status']}"
