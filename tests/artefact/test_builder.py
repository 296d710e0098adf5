"""layers/builder: the same bytes wherever it runs, for either processor; it cannot prune anything that is used."""

import hashlib
import shutil
from pathlib import Path

import pytest

from layers.builder import bytecode, clients, sdk, wheels
from layers.builder.__main__ import KEPT, packages
from sandbox.cloud.build import architecture

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
REQUIREMENTS = PROJECT / "shared/requirements.txt"
CRYPTOGRAPHY = PROJECT / "layers/cryptography/requirements.txt"
SERVICES = ["dynamodb", "events", "secretsmanager"]
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and digest of every file by path, so that a difference prints as one line and not as bytes."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def differing(one: dict[str, tuple[int, str]], other: dict[str, tuple[int, str]]) -> list[str]:
    """The paths of files that only one folder has, or that differ."""
    return sorted(place for place in one.keys() | other.keys() if one.get(place) != other.get(place))


def test_a_build_in_another_folder_gives_the_same_bytes_as_the_artefact(layer: Path, tmp_path: Path) -> None:
    kept = tmp_path / "another/much/deeper"
    for downloaded in KEPT.glob(f"wheels-shared-{architecture()}-*"):
        shutil.copytree(downloaded, kept / downloaded.name)
    built = contents(packages(REQUIREMENTS, architecture(), SERVICES, kept))
    assert len(built) > 1000
    uploaded = {place: file for place, file in contents(layer / "python").items() if not place.startswith("payments/")}
    assert differing(built, uploaded) == []


@pytest.mark.parametrize("processor", wheels.ARCHITECTURES)
@pytest.mark.parametrize("requirements", [REQUIREMENTS, CRYPTOGRAPHY], ids=["shared", "cryptography"])
def test_either_processor_gets_its_own_compiled_modules_whatever_this_machine_is(
    requirements: Path, processor: str
) -> None:
    folder = packages(requirements, processor, SERVICES if requirements == REQUIREMENTS else [])
    compiled = [path.read_bytes()[:20] for path in folder.rglob("*.so*")]
    assert compiled
    # e_machine of the ELF header.
    expected = {"aarch64": 183, "x86_64": 62}[MACHINES[processor]]
    assert {int.from_bytes(header[18:20], "little") for header in compiled} == {expected}


def test_a_processor_that_lambda_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(wheels.WheelError, match="arm64 and x86_64 are"):
        packages(REQUIREMENTS, "riscv64", SERVICES, tmp_path)


def test_a_wheel_that_was_changed_on_the_way_is_refused(layer: Path, tmp_path: Path) -> None:  # noqa: ARG001 - it has downloaded them
    (downloaded,) = KEPT.glob(f"wheels-cryptography-{architecture()}-*")
    mine = tmp_path / "wheels"
    shutil.copytree(downloaded, mine)
    changed = next(mine.glob("pycparser-*.whl"))
    changed.write_bytes(changed.read_bytes() + b"\0")
    with pytest.raises(wheels.WheelError, match="is not the one that is locked"):
        wheels.fetch(CRYPTOGRAPHY, architecture(), mine)
    changed.unlink()
    with pytest.raises(wheels.WheelError, match="pycparser"):
        wheels.fetch(CRYPTOGRAPHY, architecture(), mine)


def test_a_service_that_botocore_does_not_know_stops_the_build(layer: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    shutil.copytree(layer / "python/botocore", python / "botocore")
    for needed in ("jmespath", "urllib3", "dateutil", "six.py"):
        source = layer / "python" / needed
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, python / needed)
    with pytest.raises(sdk.PruningError, match="eventbridge"):
        sdk.prune(python, ["eventbridge"])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('session.create_client("dynamodb", config=config)', ["dynamodb"]),
        ('boto3.resource("sqs"); boto3.client("events")', ["events", "sqs"]),
        ("def _client(service, *, attempts): return session.create_client(service)", []),
        ('def _client(service): return make().client(service)\nx = _client("events")', ["events"]),
    ],
)
def test_the_services_are_read_from_the_code(tmp_path: Path, source: str, found: list[str]) -> None:
    (tmp_path / "app.py").write_text(source)
    assert clients.services_of([tmp_path]) == found


@pytest.mark.parametrize(
    "source",
    ["boto3.client(name)", "boto3.client()", 'boto3.client("dyn" + "amodb")', "boto3.client(service_name='s3')"],
)
def test_a_client_whose_service_is_not_named_in_quotes_stops_the_build(tmp_path: Path, source: str) -> None:
    (tmp_path / "app.py").write_text(source)
    with pytest.raises(clients.UnreadableClientError, match=r"app\.py:1 makes a client"):
        clients.services_of([tmp_path])


def test_a_source_that_python_cannot_read_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def:")
    with pytest.raises(bytecode.BytecodeError, match="SyntaxError"):
        bytecode.compile_all(tmp_path, "/var/task")
