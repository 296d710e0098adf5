"""A container engine for SAM that leaves nothing behind: Podman, with separate storage, network and configuration."""

import contextlib
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sandbox.cloud.processes import ServerProcess
from tests.samlocal.image import CONFIGURATION

_NETWORK: Final = "samlocal"
_READY_S: Final = 30

# runc, since crun refuses hybrid cgroups; limits that a container's root may always set.
_CONFIGURATION: Final = """\
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=30000:30000"]
[network]
network_backend = "netavark"
default_network = "{network}"
network_config_dir = "{folder}/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class Podman:
    """A running Podman service. Use `running`.

    Attributes:
        host: the value of DOCKER_HOST for SAM.
    """

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/podman.sock"
        self._folder = folder
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        }
        self._command = [
            "podman",
            *("--root", str(folder / "storage")),
            *("--runroot", str(folder / "run")),
            *("--tmpdir", str(folder / "state")),
        ]

    def call(self, *words: str, stdin: "subprocess.Popen[bytes] | None" = None) -> str:
        """Run a Podman command, and return its output."""
        done = subprocess.run(  # noqa: S603 - this file's own words
            [*self._command, *words],
            env=self._environment,
            stdin=stdin.stdout if stdin else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"podman {words[0]} failed: {done.stderr}")
        return done.stdout

    def import_image(self, root: Path, name: str) -> None:
        """Create an image from a root file system."""
        changes = [word for change in CONFIGURATION for word in ("--change", change)]
        command = ["tar", "-C", str(root), "-cf", "-", "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as packing:  # noqa: S603 - this file's own words
            self.call("import", *changes, "-", name, stdin=packing)
        assert packing.returncode == 0

    def serve(self) -> ServerProcess:
        """Start the service."""
        process = ServerProcess.start(
            "Podman",
            [*self._command, "system", "service", "--time=0", self.host],
            env=self._environment,
            cwd=self._folder,
            log=self._folder / "podman.log",
        )
        process.wait_until((self._folder / "podman.sock").is_socket, seconds=_READY_S)
        return process

    def configure(self) -> None:
        """Write its configuration, with one network."""
        (self._folder / "networks").mkdir(parents=True)
        text = _CONFIGURATION.format(network=_NETWORK, folder=self._folder)
        (self._folder / "containers.conf").write_text(text)
        network = {
            "name": _NETWORK,
            "id": hashlib.sha256(_NETWORK.encode()).hexdigest(),
            "driver": "bridge",
            "network_interface": _NETWORK,
            "created": "2026-01-01T00:00:00Z",
            "subnets": [{"subnet": "10.89.77.0/24", "gateway": "10.89.77.1"}],
            "ipv6_enabled": False,
            "internal": False,
            "dns_enabled": False,
            "ipam_options": {"driver": "host-local"},
        }
        (self._folder / "networks" / f"{_NETWORK}.json").write_text(json.dumps(network))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Podman]:
    """A Podman service; after the block, its containers and images are removed and it is stopped by its process id."""
    podman = Podman(folder)
    podman.configure()
    process = podman.serve()
    try:
        yield podman
    finally:
        podman.call("rm", "--all", "--force", "--time", "1")
        podman.call("rmi", "--all", "--force")
        process.stop()
        # The last container's monitor may still be cleaning up.
        deadline = time.monotonic() + _READY_S
        while any((folder / "storage/overlay-containers").glob("*/")) and time.monotonic() < deadline:
            time.sleep(0.1)
