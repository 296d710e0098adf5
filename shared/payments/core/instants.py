"""Convert times to and from the record's format: ISO 8601 in UTC, to the second."""

from datetime import UTC, datetime


def iso(epoch_seconds: int) -> str:
    """Return epoch seconds in the form `2026-03-01T09:30:00Z`."""
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat().replace("+00:00", "Z")


def epoch(instant: str) -> int:
    """Return the epoch seconds of a time such as `2026-03-01T09:30:00Z`."""
    return int(datetime.fromisoformat(instant).timestamp())
