"""What an instance does before its first request, so that this one loads nothing: Lambda's Init, primed.

Init runs on more of a processor than a request gets and, with SnapStart, once a version: what it has loaded and parsed
comes back with every copy of the snapshot. Whatever is secret or unique must not, so no credential is looked for, no
secret read, no connection opened and no id drawn before there is a request. See docs/decisions/0018-primed.md.
"""

import os
import random
import ssl
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Final

from payments.wiring import aws

_INITIALIZATION: Final = "AWS_LAMBDA_INITIALIZATION_TYPE"
"""Lambda says here how it starts an instance; whoever else imports a function gains nothing by priming it."""
_FROM_SNAPSHOT: Final = "snap-start"
# `socket` looks for a host's name with it, whatever the name.
_ON_FIRST_CONNECTION: Final = "encodings.idna"
# Of a table or a bus: a call names it, the client that is kept does not.
_NO_NAME: Final = ""
_SEED_BYTES: Final = 32


def prime(*clients: Callable[[str], object], also: Iterable[Callable[[], None]] = ()) -> None:
    """Makes and loads what the first request would.

    Args:
        clients: make the function's table and its bus, by name.
        also: load what not every function needs.
    """
    if _INITIALIZATION not in os.environ:
        return
    for make in clients:
        make(_NO_NAME)
    for load in (aws.prime_secrets, *also):
        load()
    import_module(_ON_FIRST_CONNECTION)
    if os.environ[_INITIALIZATION] == _FROM_SNAPSHOT:
        # Of Lambda's own runtime, which runs it in each copy before the first request.
        import_module("snapshot_restore_py").register_after_restore(_diverge)


def _diverge() -> None:
    """Lets this copy of the snapshot draw other random numbers than its siblings.

    Python's generator is what botocore draws the pauses between its tries from: copies that were throttled together
    must not come back together. OpenSSL's was seeded when the clients made their contexts for TLS. Ids and names are
    drawn from the kernel, whose generator Lambda keeps apart.
    """
    random.seed()
    ssl.RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES)
