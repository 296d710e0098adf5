"""Wheels of locked requirements, for a processor that need not be this machine's."""

import hashlib
import importlib.util
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

# Lambda's python3.13 is on Amazon Linux 2023, whose glibc is 2.34: the newest fitting wheel first.
_GLIBC_MINORS = range(34, 16, -1)
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
ARCHITECTURES = tuple(_MACHINES)

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# Two folders of a wheel's own .data folder belong beside its packages; the others hold scripts and headers.
_BESIDE = {"purelib", "platlib"}


class WheelError(RuntimeError):
    """The wheels cannot be had, or are not those that are locked; the message says which and why."""


def fetch(requirements: Path, architecture: str, folder: Path) -> list[Path]:
    """The wheels of a requirements file, from `folder` if they are there, else downloaded into it.

    Args:
        requirements: every line pinned, with hashes.
        architecture: Lambda's name of the processor, `arm64` or `x86_64`.
        folder: keeps them for the next build; anything in it that is not locked is refused.
    """
    if architecture not in ARCHITECTURES:
        raise WheelError(f"{architecture} is no processor of Lambda's; {' and '.join(ARCHITECTURES)} are.")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            unfinished = Path(scratch) / "wheels"
            _download(requirements, architecture, unfinished)
            try:
                unfinished.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                # Another build was first.
    wheels = sorted(folder.iterdir())
    _check(requirements, wheels)
    return wheels


def _download(requirements: Path, architecture: str, folder: Path) -> None:
    machine = _MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS] + [f"manylinux2014_{machine}"]
    command = [
        *_pip(),
        "download",
        *("--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", "3.13", "--abi", "cp313", "--abi", "abi3", "--abi", "none"),
        *(part for platform in platforms for part in ("--platform", platform)),
        *("--dest", str(folder)),
        *("--requirement", str(requirements)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this file's own command
    if done.returncode != 0:
        raise WheelError(f"pip could not get the wheels of {requirements} for {architecture}:\n{done.stderr}")


def _pip() -> list[str]:
    """pip, or the one that Python itself carries for making environments."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    ensurepip = importlib.util.find_spec("ensurepip")
    # Debian keeps them elsewhere.
    folders = [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels")]
    if ensurepip is not None and ensurepip.origin is not None:
        folders.insert(0, Path(ensurepip.origin).parent / "_bundled")
    wheels = [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]
    if not wheels:
        raise WheelError(f"{sys.executable} has no pip (Debian: apt install python3-pip); install it and build again.")
    return [sys.executable, f"{wheels[0]}/pip"]


def _check(requirements: Path, wheels: list[Path]) -> None:
    text = requirements.read_text()
    locked = {(_normalised(name), version) for name, version in _REQUIREMENT.findall(text)}
    found = {(_normalised(name), version) for name, version, *_ in (wheel.name.split("-") for wheel in wheels)}
    if found != locked:
        strange = sorted(f"{name} {version}" for name, version in found ^ locked)
        raise WheelError(f"{wheels[0].parent if wheels else 'no wheel'}: not what is locked: {', '.join(strange)}")
    hashes = set(_HASH.findall(text))
    for wheel in wheels:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
            raise WheelError(f"{wheel} is not the one that is locked; remove its folder and build again.")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unpack(wheels: list[Path], folder: Path) -> None:
    """Unpacks wheels as pip installs them, without scripts; all files get one mode, all dates are now."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                place = _place(entry.filename)
                if place is None or entry.is_dir():
                    continue
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))


def _place(name: str) -> PurePosixPath | None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise WheelError(f"a wheel with the path {name}")
    if not path.parts[0].endswith(".data"):
        return path
    return PurePosixPath(*path.parts[2:]) if path.parts[1] in _BESIDE else None
