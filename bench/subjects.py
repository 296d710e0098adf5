"""What is measured: the functions and layers that `sam build` made, laid out as Lambda lays them out."""

import io
import os
import platform
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import development
from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, RUNTIME_PYTHON, SECRET_ACCESS_KEY

PROJECT: Final = Path(__file__).resolve().parents[1]
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

# What an execution environment has. Hash randomisation off: two runs of the same thing execute the same instructions.
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
_JWT: Final = {"JWT_SECRET": development.JWT_SECRET}
SECRETS: Final[Mapping[str, Mapping[str, str]]] = {
    "create_order": _API_KEYS | _JWT,
    "verify": _API_KEYS | _JWT,
    "webhook": {"RAZORPAY_WEBHOOK_SECRET": development.RAZORPAY_WEBHOOK_SECRET},
    "outbox": {},
    "reconcile": _API_KEYS,
}
"""What each function finds in its secrets."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One function as it was built, in one configuration."""

    case: str
    """How it is called in the tables, such as `verify (RS256)`."""
    name: str
    folder: Path
    layers: tuple[Path, ...]
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    asymmetric: bool = False

    def environment(self, *, in_secrets: bool) -> dict[str, str]:
        """The function's environment, its secrets in it or in Secrets Manager."""
        secrets = {"SECRET_IDS": "bench"} if in_secrets and self.secrets else self.secrets
        return {**BARE, **_EVERYWHERE, **self.settings, **secrets}

    def arguments(self) -> list[str]:
        """What the programs need to find it: folder, layers, name."""
        return [str(self.folder), ":".join(str(layer) for layer in self.layers), self.name]


@dataclass(frozen=True, slots=True)
class Signer:
    """A key pair of an identity service that signs with RS256."""

    private: rsa.RSAPrivateKey

    @property
    def public_pem(self) -> str:
        """What the functions check tokens with."""
        public = self.private.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def new_signer() -> Signer:
    """A new key pair."""
    return Signer(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def subjects(built: Path, signer: Signer) -> list[Subject]:
    """The five functions of a build, and verify again under RS256 where the build has the layer for it.

    Args:
        built: the folder that `sam build` filled.
        signer: who signs the RS256 tokens.
    """
    shared = built / SHARED_LAYER / "python"
    found = [Subject(name, name, built / folder, (shared,), {}, SECRETS[name]) for name, folder in FOLDERS.items()]
    cryptography = built / CRYPTOGRAPHY_LAYER / "python"
    if cryptography.is_dir():
        found.append(
            Subject(
                "verify (RS256)",
                "verify",
                built / FOLDERS["verify"],
                (shared, cryptography),
                {"JWT_ALGORITHM": "RS256"},
                {**_API_KEYS, "JWT_PUBLIC_KEY": signer.public_pem},
                asymmetric=True,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Size:
    """How big a folder is that gets uploaded."""

    files: int
    unpacked: int
    zipped: int
    sources: int
    """Python files."""
    compiled: int
    """Byte code files."""


def size_of(folder: Path) -> Size:
    """The folder's size in bytes, unpacked and deflated."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(
                zipfile.ZipInfo(file.relative_to(folder).as_posix()), file.read_bytes(), zipfile.ZIP_DEFLATED
            )
    endings = [file.suffix for file in files]
    return Size(
        len(files),
        sum(file.stat().st_size for file in files),
        len(buffer.getvalue()),
        endings.count(".py"),
        endings.count(".pyc"),
    )


def sizes(built: Path) -> dict[str, Size]:
    """The size of each function's and layer's folder, by its name in the template."""
    folders = [path for path in sorted(built.iterdir()) if path.is_dir()]
    # A nested application's holds its template.
    return {folder.name: size_of(folder) for folder in folders if not (folder / "template.yaml").exists()}


def revision(project: Path = PROJECT) -> str:
    """The commit, and whether something that is deployed differs from it."""
    commit = _git(project, "rev-parse", "--short=10", "HEAD")
    changed = _git(project, "status", "--porcelain", "--", "functions", "shared", "layers", "*.yaml")
    return f"{commit} with uncommitted changes" if changed else commit


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else platform.machine()
    versions = _run(
        [str(RUNTIME), "-c", "import platform, boto3, botocore; print(platform.python_version(), boto3.__version__)"]
    ).split()
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": versions[0],
        "boto3 of F": versions[1],
    }


def _git(project: Path, *arguments: str) -> str:
    return _run(["git", "-C", str(project), *arguments])


def _run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own
