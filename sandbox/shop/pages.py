"""Pages and the headers they are sent with."""

from pathlib import Path
from typing import Final

from starlette.responses import FileResponse

SECURITY_HEADERS: Final = {
    # Made anew with every start, so nothing is worth keeping.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",  # Razorpay's own checkout opens the bank in a popup
}
_NOTHING_ELSE: Final = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}


def content_security_policy(**allowed: str) -> str:
    """A policy that allows nothing but what is named: `script_src="'self'"` becomes `script-src 'self'`."""
    directives = _NOTHING_ELSE | {name.replace("_", "-"): sources for name, sources in allowed.items()}
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def page(file: Path, policy: str) -> FileResponse:
    """An HTML file under its policy."""
    headers = {"Content-Security-Policy": policy}
    return FileResponse(file, media_type="text/html; charset=utf-8", headers=headers)
