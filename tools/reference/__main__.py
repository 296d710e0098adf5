"""Writes the API reference into .build/docs: one page for HTTP and one for the events, each complete in itself.

The pages contain Redoc and the contract, so they open from a disk. Their Content-Security-Policy allows no connections:
neither a CDN nor Redoc's telemetry is reachable.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.cloud.build import PROJECT
from tools.contracts import events
from tools.contracts.differences import written_out

PAGES: Final = PROJECT / ".build/docs"
BUNDLE: Final = Path(__file__).parent / "node_modules/redoc/bundles/redoc.standalone.js"
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:"
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
</head>
<body>
{body}
</body>
</html>
"""
_REDOC: Final = """\
<redoc></redoc>
<script id="contract" type="application/json">{contract}</script>
<script type="module">
{bundle}
init(JSON.parse(document.getElementById("contract").textContent), {options}, document.querySelector("redoc"));
</script>"""
_OPTIONS: Final = {"disableTelemetry": True, "hideTryItPanel": True, "router": "hash"}


def pages(docs: Path, bundle: str) -> dict[str, str]:
    """The text of each page, by file name.

    Args:
        docs: the folder of the contracts.
        bundle: Redoc's standalone bundle, a JavaScript module.
    """
    api = yaml.safe_load((docs / "openapi.yaml").read_text(encoding="utf-8"))
    bus = in_one_piece(yaml.safe_load((docs / "asyncapi.yaml").read_text(encoding="utf-8")), docs)
    references = {"api.html": api, "events.html": bus}
    links = "\n".join(f'<li><a href="{name}">{its["info"]["title"]}</a></li>' for name, its in references.items())
    return {
        "index.html": _PAGE.format(policy=_POLICY, title="API reference", body=f"<ul>\n{links}\n</ul>"),
        **{
            name: _PAGE.format(
                policy=_POLICY,
                title=its["info"]["title"],
                body=_REDOC.format(contract=_inside_html(its), bundle=bundle, options=json.dumps(_OPTIONS)),
            )
            for name, its in references.items()
        },
    }


def in_one_piece(bus: dict[str, Any], docs: Path) -> dict[str, Any]:
    """The AsyncAPI description with the event schemas inside."""
    schemas = events.read(docs / "events")
    for name, message in bus["components"]["messages"].items():
        file = f"{name}.schema.json"
        detail = written_out(schemas[file], schemas, file)
        message["payload"]["properties"]["detail"] = {key: its for key, its in detail.items() if key != "$schema"}
    return bus


def _inside_html(contract: dict[str, Any]) -> str:
    # "</script>" in a text would end the element.
    return json.dumps(contract, default=str).replace("<", "\\u003c")


def main() -> None:
    """Writes the pages."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages(PROJECT / "docs", BUNDLE.read_text(encoding="utf-8")).items():
        (PAGES / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"Open {(PAGES / 'index.html').relative_to(PROJECT)}\n")


if __name__ == "__main__":
    main()
