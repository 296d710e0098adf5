"""Prime an instance in Lambda's Init phase, so that its first request loads nothing.

Init has more CPU than a request. With SnapStart it runs once per version, and every copy of the snapshot restores
what it loaded and parsed. Nothing secret or unique may be part of a snapshot. So before the first request nothing
looks up credentials, reads a secret, opens a connection or draws an id. See docs/decisions/0018-primed.md.
"""

import gc
import os
import random
import ssl
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from payments.core.model import HistoryEntry, Model, Record
from payments.wiring import aws

_INITIALIZATION: Final = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Set by Lambda to how it starts an instance. Anything else that imports a function gains nothing from priming it."""
_FROM_SNAPSHOT: Final = "snap-start"
# `socket` loads it to resolve a host name, whatever the name.
_ON_FIRST_CONNECTION: Final = "encodings.idna"
# The name of a table or bus: calls use it, but the cached client does not.
_NO_NAME: Final = ""
_SEED_BYTES: Final = 32
_IN_EVERY_FUNCTION: Final = (Record, HistoryEntry)


def prime(
    *clients: Callable[[str], object], models: Iterable[type[Model]], also: Iterable[Callable[[], None]] = ()
) -> None:
    """Create and load what the first request would.

    Args:
        clients: create the function's table and bus, by name.
        models: what the function validates or creates, beyond what every function does.
        also: load what only some functions need.
    """
    if _INITIALIZATION not in os.environ:
        return
    for make in clients:
        make(_NO_NAME)
    build(*_IN_EVERY_FUNCTION, *models)
    for load in (aws.prime_secrets, *also):
        load()
    import_module(_ON_FIRST_CONNECTION)
    if os.environ[_INITIALIZATION] == _FROM_SNAPSHOT:
        # Part of Lambda's own runtime, which runs it in each copy before the first request.
        import_module("snapshot_restore_py").register_after_restore(_diverge)
    # Off since `payments` was imported. What exists now stays, so no later collection needs to look at it.
    gc.freeze()
    gc.enable()


def load_public_keys(algorithm: str) -> bool:
    """Load what checking a signature by public key needs; return whether this algorithm needs it and has its layer."""
    # If its layer is missing, the first request reports which setting is wrong.
    if algorithm == "HS256" or find_spec("cryptography") is None:
        return False
    # PyJWT has loaded the rest. `cryptography` itself loads this for its first elliptic-curve key.
    import_module("cryptography.hazmat.backends.openssl.backend")
    return True


def build(*models: type[Model]) -> None:
    """Build the validators and serializers of models, which their first use would build otherwise."""
    for model in models:
        model.model_rebuild()


def _diverge() -> None:
    """Give this copy of the snapshot different random numbers from its siblings.

    botocore draws the jitter of its retries from Python's generator, and copies that were throttled together must
    not retry together. OpenSSL's generator was seeded when the clients created their TLS contexts. Ids and names
    come from the kernel, whose generator Lambda keeps separate.
    """
    random.seed()
    ssl.RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES)
