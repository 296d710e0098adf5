"""A stand-in for AWS's Lambda image, built from this machine's files: no registry is used.

A root file system with a shell, the tests' Python, the runtime client of `.venvs/runtime`, and every shared library
that these need (`ldd`). It is laid out like `public.ecr.aws/lambda/python:3.13` (the interpreter in /var/lang, the
client in /var/runtime, the code in /var/task), since SAM adds layers and its runtime interface emulator to exactly
that.
"""

import compileall
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# SAM's Dockerfile moves the runtime interface emulator into place and makes it executable.
_PROGRAMS: Final = ("sh", "mv", "chmod")
# Standard library modules that need a display or hundreds of megabytes, and that no function uses.
_LEFT_OUT: Final = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages", "__pycache__", "config-*")
# What every Linux of the wheels' baseline (manylinux) has besides libc, whether needed above or not.
_BASELINE: Final = ("libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1")
_LINKED: Final = re.compile(r"(?:=> )?(/\S+) \(0x")

_BOOTSTRAP: Final = """\
#!/bin/sh
# Lambda's own puts the code first, then the layers, then its client.
export AWS_EXECUTION_ENV=AWS_Lambda_python3.13
exec /var/lang/bin/python3.13 -c '
import sys
sys.path[0:0] = ["/var/task", "/opt/python/lib/python3.13/site-packages", "/opt/python"]
sys.path.append("/var/runtime")
from awslambdaric.__main__ import main
main(["awslambdaric", sys.argv[1]])
' "$_HANDLER"
"""
_ENTRYPOINT: Final = """\
#!/bin/sh
# Without a runtime API, the emulator that SAM adds plays one.
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap; fi
exec /var/runtime/bootstrap
"""
_LIBRARY_FOLDERS: Final = (
    *("/var/lang/lib", "/lib64", "/usr/lib64"),
    *("/var/runtime", "/var/runtime/lib", "/var/task", "/var/task/lib", "/opt/lib"),
)
# The Lambda image's configuration that SAM relies on.
CONFIGURATION: Final = (
    "WORKDIR /var/task",
    "ENV LANG=en_US.UTF-8",
    "ENV TZ=:/etc/localtime",
    "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    f"ENV LD_LIBRARY_PATH={':'.join(_LIBRARY_FOLDERS)}",
    "ENV LAMBDA_TASK_ROOT=/var/task",
    "ENV LAMBDA_RUNTIME_DIR=/var/runtime",
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
)


def root_file_system(root: Path, *, interpreter: Path, runtime_packages: Path) -> None:
    """Creates the image in an empty folder.

    Args:
        root: becomes the image's `/`.
        interpreter: a CPython 3.13, for whatever processor this machine has.
        runtime_packages: the folder that has awslambdaric and boto3.
    """
    for name in ("bin", "etc", "opt", "proc", "dev", "sys", "tmp", "usr/bin", "usr/local/bin", "var/task"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    programs = [_program(name) for name in _PROGRAMS]
    for program in programs:
        shutil.copy2(program, root / "bin" / program.name)

    python = root / "var/lang"
    (python / "bin").mkdir(parents=True)
    shutil.copy2(interpreter, python / "bin/python3.13")
    standard_library = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard_library, python / "lib/python3.13", ignore=shutil.ignore_patterns(*_LEFT_OUT))
    shutil.copytree(runtime_packages, root / "var/runtime", ignore=shutil.ignore_patterns("__pycache__"))

    # The modules in their installed location, where they find the libraries next to them.
    modules = [*(standard_library / "lib-dynload").glob("*.so"), *runtime_packages.rglob("*.so")]
    needed = [module for module in modules if not module.name.startswith("_tkinter")]
    linked = _libraries([*programs, interpreter, *needed])
    (c_library,) = (library for library in linked if library.name == "libc.so.6")
    for library in linked | {c_library.with_name(name) for name in _BASELINE}:
        _copy_library(library, root)
    # Without bytecode a first request takes longer than the webhook's timeout.
    for folder in (python / "lib", root / "var/runtime"):
        compileall.compile_dir(folder, quiet=2, workers=1, stripdir=str(root), force=True)

    _write_program(root / "var/runtime/bootstrap", _BOOTSTRAP)
    _write_program(root / "lambda-entrypoint.sh", _ENTRYPOINT)


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not on PATH")
    return Path(found)


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for binary in binaries:
        # A module whose library this machine lacks (for example a display's) is copied unchanged; importing it fails,
        # as here.
        told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)  # noqa: S603, S607
        found |= {Path(path) for path in _LINKED.findall(told.stdout)}
    return found


def _copy_library(library: Path, root: Path) -> None:
    """Copies a path's target to that path; the interpreter's own library goes to the start of LD_LIBRARY_PATH."""
    own = library.name.startswith("libpython")
    target = root / "var/lang/lib" / library.name if own else root / library.relative_to("/")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library.resolve(), target)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
