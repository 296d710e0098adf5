"""`sam build` for this machine, skipped if none of its inputs has changed."""

import fcntl
import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SAM = PROJECT / ".venvs/sam/bin/sam"
BUILD_DIR = PROJECT / ".build/local"

# Variables of a developer's shell that must not affect a build.
NOT_PASSED_ON = ("AWS_", "SAM_", "PYTHON", "VIRTUAL_ENV")


class BuildError(RuntimeError):
    """`sam build` failed; the message is its output."""


def architecture() -> str:
    """Lambda's name for this machine's processor, for which the layer's compiled modules must be built."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def build(template: Path = PROJECT / "template.yaml", build_dir: Path = BUILD_DIR) -> Path:
    """Build the functions and the layer; returns the built template.

    Concurrent builds wait for each other.

    Raises:
        BuildError: sam failed.
    """
    build_dir.mkdir(parents=True, exist_ok=True)
    inputs = build_dir / "inputs.sha256"
    with _one_at_a_time(build_dir / "lock"):
        if not is_built(template, build_dir):
            # Computed before the build, so that files edited in the meantime are built the next time.
            digest = digest_of(inputs_of(template))
            inputs.unlink(missing_ok=True)
            _sam_build(template, build_dir)
            inputs.write_text(digest)
    return build_dir / "out" / "template.yaml"


def is_built(template: Path = PROJECT / "template.yaml", build_dir: Path = BUILD_DIR) -> bool:
    """Whether the build is up to date."""
    inputs = build_dir / "inputs.sha256"
    if not (inputs.exists() and (build_dir / "out" / "template.yaml").exists()):
        return False
    return inputs.read_text() == digest_of(inputs_of(template))


def inputs_of(template: Path) -> list[Path]:
    """The files a build depends on: templates, functions, the layers with their builder, and sam's version."""
    project = template.parent
    folders = [project / name for name in ("functions", "shared", "layers", "src")]
    files = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    # Nested templates are next to the template that names them.
    return [*sorted(project.glob("[!.]*.yaml")), PROJECT / "uv.lock", *sorted(files)]


def digest_of(files: list[Path]) -> str:
    """A digest of the files' names and content, for this machine's processor."""
    digest = hashlib.sha256(architecture().encode())
    for file in files:
        digest.update(f"\0{file}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sam_build(template: Path, build_dir: Path) -> None:
    # sam leaves a temporary folder behind for every artefact; here they are deleted with their parent.
    with tempfile.TemporaryDirectory(prefix="sam-", dir=build_dir) as scratch:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
        environment |= {
            # layers/builder runs on the python3.13 on PATH, and sam's environment has one.
            "PATH": f"{SAM.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": scratch,
            "SAM_CLI_TELEMETRY": "0",
            # SAM's own folder, otherwise in the home directory.
            "__SAM_CLI_APP_DIR": str(build_dir / "sam"),
            "AWS_DEFAULT_REGION": "ap-south-1",
        }
        result = subprocess.run(  # noqa: S603 - the command is this file's own
            [
                str(SAM),
                "build",
                *("--template-file", str(template)),
                *("--build-dir", str(build_dir / "out")),
                "--parallel",
                *("--parameter-overrides", f"ParameterKey=Architecture,ParameterValue={architecture()}"),
            ],
            cwd=build_dir,  # not in a folder whose samconfig.toml would add options
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        raise BuildError(f"sam build failed:\n{result.stdout}{result.stderr}")


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
