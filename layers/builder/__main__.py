"""Makes one layer or one function, in the folder that `sam build` wants it in.

Usage, in the project's folder: python3.13 -m layers.builder <what> <architecture> <artefact's folder>
What: `layer`, `cryptography`, or the name of a folder of functions/.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from layers.builder import bytecode, clients, sdk, wheels

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / ".build/layers"
"""What was downloaded and pruned, by a digest of everything it was made from: the next build only copies it."""

_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644


def build_layer(artefact: Path, architecture: str) -> None:
    """The layer that all functions share: other people's packages, pruned, and `payments`."""
    services = clients.services_of([PROJECT / "shared/payments", PROJECT / "functions"])
    _copy(packages(PROJECT / "shared/requirements.txt", architecture, services), artefact / "python")
    _copy_sources(PROJECT / "shared/payments", artefact / "python/payments", "/opt/python/payments")


def build_cryptography(artefact: Path, architecture: str) -> None:
    """The layer for tokens that are signed with RS256 or ES256."""
    _copy(packages(PROJECT / "layers/cryptography/requirements.txt", architecture, []), artefact / "python")


def build_function(name: str, artefact: Path) -> None:
    """A function: its one file."""
    _copy_sources(PROJECT / "functions" / name, artefact, "/var/task")


def packages(requirements: Path, architecture: str, services: list[str], kept: Path = KEPT) -> Path:
    """A folder with the packages of a requirements file, ready to be mounted.

    Args:
        requirements: every line pinned, with hashes.
        architecture: Lambda's name of the processor.
        services: those that botocore keeps its data of; none: there is no botocore.
        kept: where it is kept for the next build, and the downloads as well.
    """
    name = f"{requirements.parent.name}-{architecture}"
    folder = kept / f"{name}-{_digest(requirements, architecture, services)}"
    if not folder.exists():
        kept.mkdir(parents=True, exist_ok=True)
        downloaded = kept / f"wheels-{name}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]}"
        with tempfile.TemporaryDirectory(dir=kept, prefix="unfinished-") as scratch:
            python = Path(scratch) / "python"
            wheels.unpack(wheels.fetch(requirements, architecture, downloaded), python)
            if services:
                sdk.prune(python, services)
            bytecode.compile_all(python, "/opt/python")
            _give_modes(python)
            try:
                python.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                # Another build was first.
        _forget_others(kept, name, {folder, downloaded})
    return folder


def _digest(requirements: Path, architecture: str, services: list[str]) -> str:
    digest = hashlib.sha256("\0".join([sys.version, architecture, *services]).encode())
    for file in [requirements, *sorted(Path(__file__).parent.glob("*.py"))]:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _forget_others(kept: Path, name: str, used: set[Path]) -> None:
    for pattern in (f"{name}-*", f"wheels-{name}-*"):
        for old in set(kept.glob(pattern)) - used:
            shutil.rmtree(old, ignore_errors=True)  # another build may be removing it, too


def _copy_sources(source: Path, target: Path, mounted_at: str) -> None:
    """Sources of ours, without whatever a test run or an editor left among them, and their byte code."""
    for file in sorted(source.rglob("*.py")):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    bytecode.compile_all(target, mounted_at)
    _give_modes(target)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _give_modes(folder: Path) -> None:
    """One mode for all folders and one for all files, whatever this shell's mask: Lambda runs as another user."""
    folder.chmod(_DIRECTORY_MODE)
    for path in folder.rglob("*"):
        path.chmod(_DIRECTORY_MODE if path.is_dir() else _FILE_MODE)


def main(what: str, architecture: str, artefact: str) -> int:
    """See the top; returns the process's exit status."""
    try:
        if what == "layer":
            build_layer(Path(artefact), architecture)
        elif what == "cryptography":
            build_cryptography(Path(artefact), architecture)
        else:
            build_function(what, Path(artefact))
    except (wheels.WheelError, sdk.PruningError, clients.UnreadableClientError, bytecode.BytecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
