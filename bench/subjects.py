"""The measured functions and layers: the output of `sam build`, laid out as in Lambda."""

import io
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox import development
from sandbox.cloud.build import PROJECT
from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, RUNTIME_PYTHON, SECRET_ACCESS_KEY
from tests.signers import signer

PROGRAMS: Final = PROJECT / "bench/programs"
RUNTIME: Final = RUNTIME_PYTHON

FOLDERS: Final = {
    "create_order": "CreateOrderFunction",
    "verify": "VerifyFunction",
    "webhook": "WebhookFunction",
    "outbox": "OutboxFunction",
    "reconcile": "ReconcileFunction",
}
SHARED_LAYER: Final = "SharedLayer"
CRYPTOGRAPHY_LAYER: Final = "CryptographyLayer"

# The execution environment's variables. Hash randomisation is off, so that equal runs execute equal instructions.
BARE: Final[Mapping[str, str]] = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    "AWS_LAMBDA_FUNCTION_NAME": "payments-local",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    # As on staging and in production.
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
}
_EVERYWHERE: Final = {
    "STAGE": development.STAGE,
    "PAYMENTS_TABLE": "payments",
    "EVENT_BUS": "payments-local",
    "POWERTOOLS_SERVICE_NAME": "payments",
    "POWERTOOLS_METRICS_NAMESPACE": "Payments/local",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}
_API_KEYS: Final = {
    "RAZORPAY_KEY_ID": development.RAZORPAY_KEY_ID,
    "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
}
_WITH_JWT: Final = _API_KEYS | {"JWT_SECRET": development.JWT_SECRET}
SECRETS: Final[Mapping[str, Mapping[str, str]]] = {
    "create_order": _WITH_JWT,
    "verify": _WITH_JWT,
    "webhook": {"RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET},
    "outbox": {},
    "reconcile": _API_KEYS,
}
"""The settings in each function's secrets."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One built function in one configuration."""

    case: str
    """Its name in the tables, such as `verify (RS256)`."""
    name: str
    folder: Path
    layers: tuple[Path, ...]
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    asymmetric: bool = False

    def environment(self, *, in_secrets: bool) -> dict[str, str]:
        """The function's environment, with its secrets in it or in Secrets Manager."""
        secrets = {"SECRET_IDS": "bench"} if in_secrets and self.secrets else self.secrets
        return {**BARE, **_EVERYWHERE, **self.settings, **secrets}

    def arguments(self) -> list[str]:
        """The programs' arguments to find it: folder, layers, name."""
        return [str(self.folder), ":".join(str(layer) for layer in self.layers), self.name]


def subjects(built: Path) -> list[Subject]:
    """Five of the functions in the output of `sam build`, and verify again with RS256."""
    shared = built / SHARED_LAYER / "python"
    found = [Subject(name, name, built / folder, (shared,), {}, SECRETS[name]) for name, folder in FOLDERS.items()]
    rs256 = Subject(
        "verify (RS256)",
        "verify",
        built / FOLDERS["verify"],
        (shared, built / CRYPTOGRAPHY_LAYER / "python"),
        {"JWT_ALGORITHM": "RS256"},
        {**_API_KEYS, "JWT_PUBLIC_KEY": signer("RS256").pem},
        asymmetric=True,
    )
    return [*found, rs256]


def zipped_mb(folder: Path) -> float:
    """The size of a folder when uploaded, in megabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    return len(buffer.getvalue()) / 1e6
