"""What ministack does differently from AWS, as far as this service would notice. One module per difference.

Each module's docstring says what the stock emulator does, what AWS does and why it matters, and `apply` closes the gap.
For each there is a canary in tests/cloud that shows the patched behaviour and that the stock emulator still lacks it:
when a new version of ministack makes one fail, that patch can go.
"""

from sandbox.cloud.emulator.patches import (
    condition_joins,
    event_archives,
    event_condition_keys,
    function_errors,
    gateway_responses,
    metric_math_alarms,
    mock_integrations,
    put_events_validation,
    rule_delivery,
    secret_references,
    transform_parameters,
)

PATCHES = (
    condition_joins,
    mock_integrations,
    gateway_responses,
    metric_math_alarms,
    function_errors,
    put_events_validation,
    rule_delivery,
    secret_references,
    event_archives,
    event_condition_keys,
    transform_parameters,
)


def apply_all():
    """Apply every patch, once, before the first request."""
    for patch in PATCHES:
        patch.apply()
