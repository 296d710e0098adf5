"""What `sam local` must know about the container engine: whether it runs, has the image, and where its bridge is."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Final, Self

_ASK: Final = Path(__file__).with_name("ask.py")
_PATIENCE_S: Final = 30


def image_for(architecture: str) -> str:
    """Return the image in which SAM runs the functions."""
    return f"public.ecr.aws/lambda/python:3.13-{architecture}"


@dataclass(frozen=True)
class Engine:
    """A container engine that answers.

    Attributes:
        has_image: whether the Lambda image is present.
        is_desktop: Docker Desktop or similar; its containers reach this machine's 127.0.0.1.
        is_podman: it may not know `host-gateway`, which version 4.3 refuses.
        is_rootless: its bridge is in a network of its own, which this machine cannot reach.
        bridge: this machine's address in the containers' network, with that network.
    """

    has_image: bool
    is_desktop: bool = False
    is_podman: bool = False
    is_rootless: bool = False
    bridge: IPv4Interface | None = None

    @classmethod
    def found(cls, sam_python: Path, architecture: str) -> Self | None:
        """Return the engine that SAM would use (`DOCKER_HOST` or Docker's own socket), or None if none answers."""
        try:
            told = subprocess.run(  # noqa: S603 - a program of this repository, no shell
                [str(sam_python), "-I", str(_ASK), image_for(architecture)],
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return cls.told(json.loads(told.stdout)) if told.returncode == 0 else None

    @classmethod
    def told(cls, answer: Mapping[str, Any]) -> Self:
        """Parse what the engine reports about itself."""
        return cls(
            has_image=answer["has_image"],
            is_desktop="Desktop" in answer["system"],
            is_podman=any("Podman" in name for name in answer["components"]),
            is_rootless=any("rootless" in option for option in answer["security"]),
            bridge=_interface(answer["bridge"]),
        )


def _interface(bridge: Mapping[str, str] | None) -> IPv4Interface | None:
    if bridge is None:
        return None
    network = IPv4Network(bridge["subnet"], strict=False)
    # Engines that omit the gateway give the bridge the network's first address.
    gateway = bridge["gateway"] or str(next(network.hosts()))
    return IPv4Interface(f"{gateway}/{network.prefixlen}")
