"""The upload contains what it must, and nothing else."""

import marshal
import re
import struct
import zlib
from importlib.metadata import Distribution, distributions
from importlib.util import source_hash
from pathlib import Path

import pytest

from layers.builder.clients import services_of
from layers.builder.sdk import COMMON, answers

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
FUNCTIONS = [
    "CreateOrderFunction",
    "OutboxFunction",
    "ReconcileFunction",
    "RefundFunction",
    "VerifyFunction",
    "WebhookFunction",
]


def normalised(name: str) -> str:
    """A distribution's name, normalised by PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions_in(layer: Path) -> dict[str, Distribution]:
    """The distributions in a layer and their versions, from their dist-info."""
    return {normalised(found.metadata["Name"]): found for found in distributions(path=[str(layer / "python")])}


def locked_in(requirements: Path) -> dict[str, str]:
    """The versions that a requirements file pins, by normalised name."""
    lines = requirements.read_text().splitlines()
    pairs = (line.split(" ")[0].split("==") for line in lines if "==" in line.split(" ")[0])
    return {normalised(name): version for name, version in pairs}


@pytest.fixture
def installed(layer: Path) -> dict[str, Distribution]:
    """The distributions in the layer of all functions."""
    return distributions_in(layer)


def sources(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}


def test_shared_holds_the_package_and_its_requirements_and_nothing_else() -> None:
    # SAM uploads everything in this folder.
    assert {path.name for path in (PROJECT / "shared").iterdir()} == {"payments", "requirements.txt"}


def test_the_layer_holds_the_package_as_it_is_in_the_repository(layer: Path) -> None:
    assert [path.name for path in layer.iterdir()] == ["python"]
    assert sources(layer / "python/payments") == sources(PROJECT / "shared/payments")


def test_the_layer_holds_the_locked_versions_of_the_locked_requirements(installed: dict[str, Distribution]) -> None:
    assert {name: found.version for name, found in installed.items()} == locked_in(PROJECT / "shared/requirements.txt")


def test_everything_else_in_the_layer_came_with_one_of_them(layer: Path, installed: dict[str, Distribution]) -> None:
    recorded = {file.parts[0] for found in installed.values() for file in found.files or []}
    assert {path.name for path in (layer / "python").iterdir()} <= recorded | {"payments", "__pycache__"}
    assert not (layer / "python/tests").exists()


def test_the_sdk_kept_the_metadata_it_reads_its_version_from(installed: dict[str, Distribution]) -> None:
    # Without its dist-info every call of the SDK fails (razorpay/client.py reads its own version).
    assert installed["razorpay"].version


def test_the_layer_is_small(layer: Path) -> None:
    # The quota of 250 MB unpacked ("Lambda quotas") is far away, but every cold start pays for the size.
    files = [path for path in layer.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 35_000_000
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < 16_000_000


def test_the_aws_sdk_has_the_data_of_the_services_that_the_code_makes_clients_of(layer: Path) -> None:
    used = services_of([PROJECT / "shared/payments", PROJECT / "functions"])
    assert used == ["dynamodb", "events", "secretsmanager"]
    data = layer / "python/botocore/data"
    assert {path.name for path in data.iterdir()} == COMMON | set(used)
    for service in used:
        (version,) = (data / service).iterdir()
        assert {"service-2.json", "endpoint-rule-set-1.json"} <= {path.name for path in version.iterdir()}


def test_the_aws_sdk_asks_where_and_as_an_unpruned_one_does_in_every_region(layer: Path) -> None:
    # The runtime's environment has the same version, unpruned.
    (unpruned,) = (PROJECT / ".venvs/runtime/lib").glob("python3.13/site-packages")
    used = services_of([PROJECT / "shared/payments", PROJECT / "functions"])
    asked = answers(layer / "python", used)
    assert asked == answers(unpruned, used)
    assert asked["dynamodb ap-south-1"]["url"] == "https://dynamodb.ap-south-1.amazonaws.com/"
    assert asked["events us-gov-west-1 fips"]["signing"][:2] == ["us-gov-west-1", "events"]
    assert len(asked) > 3 * 4 * 30


def test_every_source_has_byte_code_that_lambdas_python_loads_unasked(
    artefact: Path, layer: Path, cryptography_layer: Path
) -> None:
    folders = [layer, cryptography_layer, *(artefact / function for function in FUNCTIONS)]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(found) > 500
    for source in found:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        magic, flags, digest = struct.unpack("<4sI8s", compiled.read_bytes()[:16])
        # 3571 is the magic number of every Python 3.13; 0b01 means an unchecked hash (PEP 552).
        assert (magic, flags) == ((3571).to_bytes(2, "little") + b"\r\n", 0b01), source
        assert digest == source_hash(source.read_bytes()), source


def test_byte_code_tells_where_lambda_has_the_source_and_nothing_of_this_machine(artefact: Path, layer: Path) -> None:
    for source, place in (
        (layer / "python/botocore/session.py", "/opt/python/botocore/session.py"),
        (layer / "python/payments/core/model.py", "/opt/python/payments/core/model.py"),
        (artefact / "WebhookFunction/app.py", "/var/task/app.py"),
    ):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert marshal.loads(compiled.read_bytes()[16:]).co_filename == place  # noqa: S302 - made by the build


def test_everybody_may_read_the_files_and_nobody_write_them(artefact: Path, layer: Path) -> None:
    # The build sets file modes: with a strict umask, Lambda's user could not read the files.
    for folder in (layer / "python", artefact / "WebhookFunction"):
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o644}
        assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()} == {0o755}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_one_file_and_its_byte_code(artefact: Path, function: str) -> None:
    # A sibling module would shadow the layer's: /var/task precedes /opt/python.
    files = {path.relative_to(artefact / function).as_posix() for path in (artefact / function).rglob("*")}
    assert files == {"app.py", "__pycache__", "__pycache__/app.cpython-313.pyc"}
