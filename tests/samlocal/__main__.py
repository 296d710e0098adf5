"""The real `sam local`: `make test-sam-local`. Needs root and Debian; uses no image registry.

Podman is installed with apt if it is missing. Everything else happens in separate network, mount and process
namespaces, so that bridge, firewall rules, mounts and processes are gone afterwards, however it ends. Arguments are
pytest's.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
# The package of each program. Podman's network program calls iptables.
_NEEDED: Final = {
    "podman": "podman",
    "runc": "runc",
    "conmon": "conmon",
    "iptables": "iptables",
    "curl": "curl",
    "ip": "iproute2",
    "unshare": "util-linux",
    "ldd": "libc-bin",
}
_NETAVARK: Final = Path("/usr/lib/podman/netavark")
# Folders that Podman and its network program always use for persistent files. Hidden from them.
_KEPT: Final = (Path("/run"), Path("/var/lib/containers"))
_SETTING_UP: Final = " && ".join(["ip link set lo up", *(f"mount -t tmpfs tmpfs {kept}" for kept in _KEPT)])
_ATTEMPTS: Final = 30
_ATTEMPT_S: Final = 0.1
FOLDER: Final = "SAM_LOCAL_FOLDER"
"""The environment variable with the folder that tests may write to."""


def main(arguments: list[str]) -> int:
    """Returns pytest's exit status, or 2 if this machine cannot run it."""
    if reason := _unfit():
        print(f"`make test-sam-local` does not run here: {reason}", file=sys.stderr)
        return 2
    _install()
    began = time.monotonic()
    # On a signal, it cleans up as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="sam-local-"))
    made = [kept for kept in _KEPT if not kept.exists()]
    groups_before = _control_groups()
    try:
        for kept in made:
            kept.mkdir(parents=True)
        status = _run(folder, arguments or [str(PROJECT / "tests/samlocal/recipe.py")])
    finally:
        _remove(folder, shutil.rmtree)
        # From the inside out. A folder that another Podman has started to use is kept.
        for empty in (*sorted(_control_groups() - groups_before, reverse=True), *made):
            _remove(empty, Path.rmdir)
    print(f"sam local: {'passed' if status == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s")
    return status


def _run(folder: Path, tests: list[str]) -> int:
    return subprocess.run(  # noqa: S603 - this file's own words
        [
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            # The shell is the namespace's first process, and reaps orphans.
            *("sh", "-c", f'{_SETTING_UP} && "$@"; exit $?', "sh"),
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-s", "-v", "--timeout", "1500", *tests),
        ],
        cwd=PROJECT,
        env={**os.environ, FOLDER: str(folder)},
        check=False,
    ).returncode


def _unfit() -> str | None:
    if sys.platform != "linux":
        return "it needs Linux."
    if os.geteuid() != 0:
        return "it needs root, for containers, a bridge and namespaces of its own. Try: sudo make test-sam-local"
    if shutil.which("apt-get") is None:
        return "it needs Debian, or a system with apt-get, for Podman."
    return None


def _control_groups() -> set[Path]:
    """Podman's container folders in each cgroup hierarchy."""
    return {path for path in Path("/sys/fs/cgroup").glob("**/libpod_parent/**/") if path.is_dir()}


def _remove(path: Path, how: Callable[[Path], object]) -> None:
    """Removes a folder; processes killed with their namespace may hold it for a moment."""
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(OSError):
            how(path)
        if not path.exists():
            return
        time.sleep(_ATTEMPT_S)
    print(f"Left behind, since something uses it: {path}", file=sys.stderr)


def _install() -> None:
    packages = {package for program, package in _NEEDED.items() if shutil.which(program) is None}
    if not _NETAVARK.exists():
        packages.add("netavark")
    if packages:
        print(f"Installing {', '.join(sorted(packages))}", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=True)  # noqa: S607 - the system's
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *sorted(packages)]
        subprocess.run(command, env=quiet, check=True)  # noqa: S603 - as above


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
