"""A tiny run of each benchmark that starts processes: checks that it works, not how long it takes."""

import shutil
from pathlib import Path

import pytest

from bench import canned, children, measures, subjects
from bench.canned import Flow
from bench.children import ChildFailed, memory_mib
from sandbox.cloud.build import build

# The first build of a fresh checkout downloads the layers' packages.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(build().parent, tmp_path_factory.mktemp("bench") / "built"))


@pytest.fixture(scope="module")
def flows(built: Path) -> list[Flow]:
    return canned.all_flows(built, built.parent / "requests")


def test_every_function_serves_its_requests_with_the_calls_that_were_counted(flows: list[Flow]) -> None:
    assert {flow.case: len(flow.calls) for flow in flows} == {
        "create-order": 4,
        "verify": 2,
        "read": 1,
        "verify (RS256)": 2,
        "read (RS256)": 1,
        "webhook payment.authorized": 2,
        "webhook payment.captured": 4,
        "outbox, nothing due": 16,
        "reconcile, nothing due": 34,
    }


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of programs to be counted; they run, and each request costs half of a start."""
    ran: list[list[str]] = []

    def run(program: str, arguments: list[str], environment: dict[str, str]) -> int:
        assert memory_mib(program, arguments, environment) > 1
        ran.append([program, *arguments])
        return 1_000 + (500 * int(arguments[3]) if program == "function.py" else 0)

    monkeypatch.setattr(measures, "instructions", run)
    return ran


def test_every_start_is_measured_against_the_floor(flows: list[Flow], uncounted: list[list[str]]) -> None:
    chosen = [flow for flow in flows if flow.subject.case == "webhook"]
    figures = {figure.what: figure.measured for figure in measures.starts(chosen)}
    assert sorted(ran[0] for ran in uncounted) == ["floor.py", "function.py", "function.py"]
    assert figures["webhook: ready, x F"] == 1
    assert figures["webhook: first answer more, x F"] == 0.5
    assert figures["webhook: memory when ready, MiB"] > 20


def test_a_warm_request_is_what_many_execute_more_than_few(flows: list[Flow], uncounted: list[list[str]]) -> None:
    (figure,) = measures.warm([flow for flow in flows if flow.case == "read"])
    assert sorted(ran[4] for ran in uncounted) == ["10", "30"]
    assert figure.what == "read, instructions"
    assert figure.measured == 500


def test_a_function_that_cannot_start_is_an_error_that_says_why(built: Path) -> None:
    with pytest.raises(ChildFailed, match="No module named 'app'"):
        memory_mib("function.py", [str(built), "", "webhook", "0"], dict(subjects.BARE))


def test_without_valgrind_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "VALGRIND", None)
    with pytest.raises(ChildFailed, match="apt install valgrind"):
        children.instructions("floor.py", [], dict(subjects.BARE))


def test_the_size_of_a_layer_is_that_of_its_files(built: Path, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x" * 1_000_000)
    assert 0 < subjects.zipped_mb(tmp_path) < 0.01
    assert all(1 < figure.measured < 50 for figure in measures.sizes(built))
