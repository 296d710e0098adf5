"""What is uploaded, and nothing else."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

# The first build of a fresh checkout downloads the layer's packages.
pytestmark = pytest.mark.timeout(300)

PROJECT = Path(__file__).parents[2]
FUNCTIONS = ["CreateOrderFunction", "ReconcileFunction", "VerifyFunction", "WebhookFunction"]


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions_in(layer: Path) -> dict[str, Distribution]:
    """The distributions in a layer by name, as their dist-info says."""
    return {normalised(found.metadata["Name"]): found for found in distributions(path=[str(layer / "python")])}


def locked_in(requirements: Path) -> dict[str, str]:
    """The versions that a file of requirements names, by normalised name."""
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
    # SAM ships whatever lies here.
    assert {path.name for path in (PROJECT / "shared").iterdir()} == {"payments", "requirements.txt"}


def test_the_layer_holds_the_package_as_it_is_in_the_repository(layer: Path) -> None:
    assert [path.name for path in layer.iterdir()] == ["python"]
    assert sources(layer / "python/payments") == sources(PROJECT / "shared/payments")


def test_the_layer_holds_the_locked_versions_of_the_locked_requirements(installed: dict[str, Distribution]) -> None:
    assert {name: found.version for name, found in installed.items()} == locked_in(PROJECT / "shared/requirements.txt")


def test_everything_else_in_the_layer_came_with_one_of_them(layer: Path, installed: dict[str, Distribution]) -> None:
    python = layer / "python"
    recorded = {file.parts[0] for found in installed.values() for file in found.files or []}
    # pip leaves the .data folder of a wheel that has scripts; SAM copies the requirements beside the package.
    expected = recorded | {"payments", "requirements.txt"}
    strange = {path.name for path in python.iterdir()} - expected
    assert not {name for name in strange if not name.endswith(".data")}
    assert not (python / "tests").exists()


def test_the_sdk_kept_the_metadata_it_reads_on_every_request(installed: dict[str, Distribution]) -> None:
    # Without its dist-info every call of the SDK fails (razorpay/client.py looks its own version up).
    assert installed["razorpay"].version


def test_the_layer_leaves_room_under_lambdas_limit(layer: Path) -> None:
    # 250 MB unpacked, function and layers together ("Lambda quotas"); what is unpacked is also what a cold start pays.
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size < 30_000_000


def test_the_layer_of_cryptography_holds_its_locked_requirements_and_nothing_else(cryptography_layer: Path) -> None:
    installed = distributions_in(cryptography_layer)
    locked = locked_in(PROJECT / "layers/cryptography/requirements.txt")
    assert {name: found.version for name, found in installed.items()} == locked
    assert "cryptography" in locked
    recorded = {file.parts[0] for found in installed.values() for file in found.files or []}
    present = {path.name for path in (cryptography_layer / "python").iterdir()}
    assert not {name for name in present - recorded - {"requirements.txt"} if not name.endswith(".data")}
    size = sum(path.stat().st_size for path in cryptography_layer.rglob("*") if path.is_file())
    assert size < 30_000_000
    assert {path.name for path in (PROJECT / "layers/cryptography").iterdir()} == {"requirements.txt"}


def test_every_requirement_of_a_layer_is_locked_by_hashes() -> None:
    for requirements in (PROJECT / "shared/requirements.txt", PROJECT / "layers/cryptography/requirements.txt"):
        named = re.split(r"\n(?=[a-z])", requirements.read_text())
        assert named
        assert all("--hash=sha256:" in one for one in named)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_one_file(artefact: Path, function: str) -> None:
    # A sibling module would shadow the layer's: /var/task precedes /opt/python.
    assert [path.name for path in (artefact / function).iterdir()] == ["app.py"]
