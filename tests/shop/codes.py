"""The codes of errors that a frontend can meet, from docs/openapi.yaml."""

import json
from pathlib import Path
from typing import Any

import yaml

_DESCRIPTION = Path(__file__).parents[2] / "docs/openapi.yaml"


def frontend_codes() -> set[str]:
    """Return every code but those that only the routes for services have."""
    described: dict[str, Any] = yaml.safe_load(_DESCRIPTION.read_text(encoding="utf-8"))
    routes = [route for path in described["paths"].values() for route in path.values() if "tags" in route]
    for_all = json.dumps([route for route in routes if "services" not in route["tags"]])
    for_services = json.dumps([route for route in routes if "services" in route["tags"]])
    return {
        code
        for code in described["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
        if f'"code": "{code}"' in for_all or f'"code": "{code}"' not in for_services
    }
