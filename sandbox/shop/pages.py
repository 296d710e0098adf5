"""Pages and their response headers."""

from pathlib import Path
from typing import Final

from starlette.responses import FileResponse

SECURITY_HEADERS: Final = {
    # Changes with every start, so caching is pointless.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",  # Razorpay's own checkout opens the bank in a popup
}
_NOTHING_ELSE: Final = {"default-src": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'"}


def content_security_policy(**allowed: str) -> str:
    """Return a policy that allows only what is named: `script_src="'self'"` becomes `script-src 'self'`."""
    directives = _NOTHING_ELSE | {name.replace("_", "-"): sources for name, sources in allowed.items()}
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def page(file: Path, policy: str) -> FileResponse:
    """Return an HTML file with its policy."""
    headers = {"Content-Security-Policy": policy}
    return FileResponse(file, media_type="text/html; charset=utf-8", headers=headers)
