"""Times as the record keeps them: ISO 8601 in UTC, to the second."""

from datetime import UTC, datetime


def iso(epoch_seconds: int) -> str:
    """`2026-03-01T09:30:00Z` for epoch seconds."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(instant: str) -> int:
    """Epoch seconds for `2026-03-01T09:30:00Z`."""
    return int(datetime.fromisoformat(instant).timestamp())
