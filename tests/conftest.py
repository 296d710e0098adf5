"""What tests of several folders share."""

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from sandbox.proxies import bypass_for_this_machine

if TYPE_CHECKING:
    from sandbox.cloud.service import LocalService

# The same in every run, so that a result depends only on the code. The full campaigns (`make faults`, `make fuzz`) use
# new seeds to find new cases.
SEED = int(os.environ.get("FAULTS_SEED") or 20_261_126)

if "FAULTS_SEED" not in os.environ:
    settings.register_profile("the same in every run", derandomize=True, database=None)
    settings.load_profile("the same in every run")

# Nearly every test here starts its own server.
bypass_for_this_machine()

PROJECT = Path(__file__).parents[1]
# The slowest files. With several processes they start first, because a slow file started last would leave the other
# processes idle. Files that start many servers alternate with files that compute or wait, so that few need both
# processors at once. The first one stands for all that use `local_service`, which one process takes.
FIRST = (
    "tests/e2e/test_reconcile.py",  # waits for the schedule
    "tests/browser/test_live.py",
    "tests/secrecy/test_canaries.py",
    "tests/browser/test_checkout.py",
    "tests/attacks/test_attacks.py",
    "tests/e2e/test_runbook.py",
    "tests/handlers/test_hanging.py",  # waits for what hangs
    "tests/browser/test_shop.py",
    "tests/faults/test_crashes.py",
    "tests/e2e/test_run.py",
    "tests/handlers/test_rotation.py",
    "tests/artefact/test_builder.py",
    "tests/faults/test_interleavings.py",
    "tests/faults/test_soak.py",
    "tests/fuzz/test_handlers.py",
    "tests/e2e/test_recovery.py",
    "tests/conformance/test_best_practices.py",
    "tests/bench/test_run.py",
    "tests/faults/test_mistakes.py",
    "tests/fuzz/test_api.py",
    "tests/bench/test_simulation.py",
    "tests/e2e/test_payments.py",
    "tests/artefact/test_instances.py",
    "tests/audit/test_exceptions.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collects tests without collecting garbage, and lets no collection of garbage search the tests afterwards.

    Modules and tests stay until the end, and there are so many of them that each search takes most of a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the slow files first; `--no-loadscope-reorder` distributes files in this order."""
    if gone := [file for file in FIRST if not (PROJECT / file).is_file()]:
        raise pytest.UsageError(f"FIRST in tests/conftest.py names files that are not there: {', '.join(gone)}")
    if hasattr(config, "workerinput"):
        place = {PROJECT / file: number for number, file in enumerate(FIRST)}
        items.sort(key=lambda item: place.get(item.path, len(place)))


class Distribution(LoadFileScheduling):  # type: ignore[misc]  # xdist is not marked as typed
    """A file is a unit, but all files that use `local_service` are one: so that service starts only once."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "local_service" if uses_local_service(file) else file


@cache
def uses_local_service(file: str) -> bool:
    """Whether a file of tests does; it is asked for each test."""
    return "local_service" in (PROJECT / file).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return Distribution(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_report_header() -> str:
    return f"faults: seed {SEED} (FAULTS_SEED=… draws from another)"


@pytest.fixture
def seed() -> int:
    """The seed of this run's fault campaigns."""
    return SEED


@pytest.fixture(scope="session")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LocalService]":
    """The whole service, once for all tests: built, deployed, and talking to the stand-in for Razorpay.

    On free ports and with a separate run dir, so that it does not disturb `make run`.
    """
    # Imported here because most tests do not need it.
    from sandbox.cloud.service import LocalService  # noqa: PLC0415
    from tests.secrecy.printed import leaks_of_functions  # noqa: PLC0415

    with LocalService.start(tmp_path_factory.mktemp("service")) as service:
        yield service
        # tests/secrecy sees only what was printed until then.
        assert leaks_of_functions(service) == {}
