"""A tiny run of everything that is measured by processes: that it works, never how long it takes."""

import shutil
from pathlib import Path

import pytest

from bench import coldstart, page, subjects, warmpath
from bench.artefact import Artefact
from bench.children import ChildFailed, run_start
from bench.progress import Effort
from sandbox.cloud.build import build

# The first build of a fresh checkout downloads the layers' packages.
pytestmark = pytest.mark.timeout(300)

TINY = Effort(rounds=1, instructions=False, seconds=1.0)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    scratch = tmp_path_factory.mktemp("bench")
    shutil.copytree(build().parent, scratch / "built")
    return Artefact.prepare(scratch / "built", scratch)


def nobody(done: int, of: int) -> None:
    """Nobody watches."""


def test_every_function_serves_its_requests_with_the_calls_that_were_counted(artefact: Artefact) -> None:
    calls = {(flow.subject.case, flow.name): flow.outside_calls for flow in artefact.flows}
    assert calls == {
        ("create_order", "create-order"): 4,
        ("verify", "verify"): 2,
        ("verify", "read"): 1,
        ("verify (RS256)", "verify"): 2,
        ("verify (RS256)", "read"): 1,
        ("webhook", "webhook payment.authorized"): 2,
        ("webhook", "webhook payment.captured"): 4,
        ("outbox", "outbox, nothing due"): 16,
        ("reconcile", "reconcile, nothing due"): 34,
    }


def test_every_start_is_measured_against_the_floor(artefact: Artefact) -> None:
    cases = [
        case for case in coldstart.cases(artefact.subjects, artefact.flows) if case.name in {coldstart.F, "webhook"}
    ]
    found = coldstart.measure(cases, TINY, nobody)
    assert [(row["case"], row["depth"]) for row in found["rows"]] == [
        (coldstart.F, "ready"),
        ("webhook", "ready"),
        ("webhook", "answer"),
    ]
    floor, ready, answered = found["rows"]
    assert floor["cpu_of_floor"]["middle"] == 1
    assert floor["instructions"] is None
    assert 0 < ready["modules"] <= answered["modules"]
    assert all(row["rss_mib"]["middle"] > 1 for row in found["rows"])
    assert "botocore" in {package for package, _, _ in found["imports"]["webhook"]}
    assert all("webhook" in row or coldstart.F in row for row in page.tables("start", found)[0][2])


def test_a_warm_request_is_measured_stubbed_and_over_http(artefact: Artefact) -> None:
    flows = [flow for flow in artefact.flows if flow.name in {"read", "create-order"} and not flow.subject.asymmetric]
    found = warmpath.measure(flows, TINY, nobody)
    for row in found["rows"]:
        assert row["stub"]["cpu_ms"]["middle"] > 0
        assert row["http"]["wall_ms"]["middle"] > 0
    assert len(page.tables("warm", found)[0][2]) == len(flows)


def test_a_function_that_cannot_start_is_an_error_that_says_why(artefact: Artefact) -> None:
    subject = artefact.subjects[0]
    with pytest.raises(ChildFailed, match="No module named 'app'"):
        run_start("start.py", [str(artefact.folder), "", subject.name, "ready"], dict(subjects.BARE))


def test_sizes_are_of_every_folder_that_is_uploaded(artefact: Artefact) -> None:
    sizes = subjects.sizes(artefact.folder)
    assert {"SharedLayer", "CryptographyLayer", *subjects.FOLDERS.values()} == sizes.keys()
    assert all(0 < size.zipped <= size.unpacked for name, size in sizes.items() if name.endswith("Layer"))


def test_a_folders_size_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x" * 1000)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_bytes(b"y" * 10)
    size = subjects.size_of(tmp_path)
    assert (size.files, size.unpacked, size.sources, size.compiled) == (2, 1010, 1, 1)
    assert size.zipped < 600
