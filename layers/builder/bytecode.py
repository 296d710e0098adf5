"""Byte code beside every source, so that no cold start compiles: the folder is read-only on Lambda.

As a program, `python -I -S -B bytecode.py <folder> <where Lambda has it>`, it does that for one folder: what marshal
shares between objects depends on what else is alive, so a process of its own gives the same sources the same bytes.
"""

import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path, PurePosixPath

# Of every release of Python 3.13 (Include/internal/pycore_magic_number.h); with another one, nothing would be loaded.
MAGIC_NUMBER = (3571).to_bytes(2, "little") + b"\r\n"


class BytecodeError(RuntimeError):
    """Not the Python that runs on Lambda, or sources that it cannot read."""


def compile_all(folder: Path, mounted_at: str) -> None:
    """Puts an unchecked-hash .pyc beside every .py under the folder.

    Unchecked: neither the dates, which packing rewrites, nor the source are looked at when it is loaded. Byte code
    depends on Python's minor version and on nothing of the processor.

    Args:
        folder: of sources.
        mounted_at: where Lambda has it, for tracebacks; so nothing of this machine gets in.
    """
    if importlib.util.MAGIC_NUMBER != MAGIC_NUMBER:
        raise BytecodeError(f"Lambda runs Python 3.13, and {sys.executable} is {sys.version.split()[0]}.")
    command = [sys.executable, "-I", "-S", "-B", __file__, str(folder), mounted_at]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})  # noqa: S603 - this very file
    if done.returncode != 0:
        raise BytecodeError(f"{folder} cannot be compiled:\n{done.stderr}")


def _main(folder: str, mounted_at: str) -> None:
    for source in sorted(Path(folder).rglob("*.py")):
        py_compile.compile(
            str(source),
            dfile=str(PurePosixPath(mounted_at, source.relative_to(folder).as_posix())),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


if __name__ == "__main__":
    _main(*sys.argv[1:])
