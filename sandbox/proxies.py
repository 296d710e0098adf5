"""Bypass proxies for connections to this machine, whatever the shell's settings."""

import os
import urllib.request

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EVERYTHING = "*"


def bypass_for_this_machine() -> None:
    """Let this process, and programs it starts, reach this machine directly. Every other address keeps its proxy.

    `HTTP_PROXY` without `NO_PROXY` is common, and then programs ask a proxy for 127.0.0.1, which is the proxy's own
    machine. Everything used here reads these variables: requests (and with it the Razorpay SDK), urllib, botocore
    and curl. Call this first in every program that talks to the local cloud.
    """
    proxies = urllib.request.getproxies()
    # If macOS's settings name the proxies: as soon as NO_PROXY is among the variables, only variables count.
    for scheme in {"http", "https"} & proxies.keys():
        if not _variable(f"{scheme}_proxy"):
            os.environ[f"{scheme}_proxy"] = proxies[scheme]
    if not proxies.keys() - {"no"}:
        return
    excepted = [host.strip() for host in _variable("no_proxy").split(",") if host.strip()]
    if excepted != [_EVERYTHING]:
        excepted += [host for host in LOOPBACK if host not in excepted]
    # Both spellings: programs differ in which one they read, and lower case takes precedence if both are set.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(excepted)


def from_environment() -> dict[str, str]:
    """Return the variables that name proxies and their exceptions, or none if no proxy is named.

    For a program that is started with its own environment. The values may contain a password: never print them.
    """
    named = {name for lower in _PROXIES for name in (lower, lower.upper()) if os.environ.get(name)}
    return {name: os.environ[name] for name in (*sorted(named), "no_proxy", "NO_PROXY") if name in os.environ and named}


def _variable(lower: str) -> str:
    return os.environ.get(lower) or os.environ.get(lower.upper()) or ""
