"""Ask the container engine about itself with SAM's own client: `python ask.py IMAGE`, on SAM's interpreter.

Prints one JSON object. Fails if no engine answers.
"""

import json
import sys

import docker
from docker.errors import DockerException, ImageNotFound, NotFound

# The default names of the containers' network: Docker, Podman.
_DEFAULT_NETWORKS = ("bridge", "podman")


def _bridge(client: docker.DockerClient) -> dict[str, str] | None:
    names = [*_DEFAULT_NETWORKS, *(network.name for network in client.networks.list())]
    for name in names:
        try:
            network = client.networks.get(name)
        except NotFound:
            continue
        for subnet in (network.attrs.get("IPAM") or {}).get("Config") or []:
            if ":" not in subnet["Subnet"]:
                return {"subnet": subnet["Subnet"], "gateway": subnet.get("Gateway", "")}
    return None


def _has(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def main(image: str) -> None:
    """Print what `sandbox.sam_local.engine` reads."""
    try:
        client = docker.from_env(timeout=10)
        version, info = client.version(), client.info()
        told = {
            "system": info.get("OperatingSystem", ""),
            "components": [component.get("Name", "") for component in version.get("Components") or []],
            "security": info.get("SecurityOptions") or [],
            "has_image": _has(client, image),
            "bridge": _bridge(client),
        }
    except (DockerException, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
