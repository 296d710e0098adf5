"""`sam build` for this machine, skipped when nothing it reads has changed."""

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

# What a developer's shell may hold and a build must not depend on.
NOT_PASSED_ON = ("AWS_", "SAM_", "PYTHON", "VIRTUAL_ENV")


class BuildError(RuntimeError):
    """`sam build` failed; the message is what it said."""


def architecture() -> str:
    """This machine's processor, as Lambda calls it. The layer's compiled modules must be for it."""
    return {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")


def build(template: Path = PROJECT / "template.yaml", build_dir: Path = BUILD_DIR) -> Path:
    """Build the functions and the layer; returns the built template.

    Two builds at a time wait for each other.

    Raises:
        BuildError: sam refused.
    """
    build_dir.mkdir(parents=True, exist_ok=True)
    inputs = build_dir / "inputs.sha256"
    with _one_at_a_time(build_dir / "lock"):
        if not is_built(template, build_dir):
            # Before the build, not after: what is edited meanwhile is built the next time.
            digest = digest_of(inputs_of(template))
            inputs.unlink(missing_ok=True)
            _sam_build(template, build_dir)
            inputs.write_text(digest)
    return build_dir / "out" / "template.yaml"


def is_built(template: Path = PROJECT / "template.yaml", build_dir: Path = BUILD_DIR) -> bool:
    """Whether what is built is of the present files."""
    inputs = build_dir / "inputs.sha256"
    if not (inputs.exists() and (build_dir / "out" / "template.yaml").exists()):
        return False
    return inputs.read_text() == digest_of(inputs_of(template))


def inputs_of(template: Path) -> list[Path]:
    """The files a build depends on: templates, functions, the layers with their builder, and sam's version."""
    project = template.parent
    folders = [project / "functions", project / "shared", project / "layers"]
    files = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    # Nested templates lie beside the template that names them.
    return [*sorted(project.glob("[!.]*.yaml")), PROJECT / "uv.lock", *sorted(files)]


def digest_of(files: list[Path]) -> str:
    """A digest of the files' names and content, for this machine's processor."""
    digest = hashlib.sha256(architecture().encode())
    for file in files:
        digest.update(f"\0{file}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _sam_build(template: Path, build_dir: Path) -> None:
    # sam leaves a temporary folder behind for every artefact; here they go with their parent.
    with tempfile.TemporaryDirectory(prefix="sam-", dir=build_dir) as scratch:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
        environment |= {
            # layers/builder runs on the path's python3.13, and sam's own environment has one.
            "PATH": f"{SAM.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": scratch,
            "SAM_CLI_TELEMETRY": "0",
            # SAM's own folder, in the home directory otherwise.
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
            cwd=build_dir,  # not where a samconfig.toml would add to the command
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
