"""The dependencies of refund. It has no bus: it records events and leaves publishing to the webhook and the outbox."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from payments.adapters.config import RefundSettings, refund_settings
from payments.adapters.log import RequestLog
from payments.adapters.table import PaymentsTable
from payments.core.identity import TokenRules
from payments.core.model import Attempt, Mandate, PendingEvent, Refund, RefundIntent
from payments.core.paying_back import Refunder
from payments.core.wire import RefundBody
from payments.wiring import aws, priming
from payments.wiring import callers as tokens
from payments.wiring import gateway as razorpay
from payments.wiring.callers import Callers
from payments.wiring.gateway import RotatingGateway

# For all calls to Razorpay of one request. The rest of the function's 19 seconds is for the table.
_GATEWAY_BUDGET_S: Final = 11.0


@dataclass(frozen=True, slots=True)
class _TokenSettings:
    token_rules: TokenRules


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The settings and adapters of one request. All requests of an instance share clients."""

    refunder: Refunder
    gateway: RotatingGateway
    callers: Callers | None
    scope: str | None
    """The scope that lets a token request refunds; None if no token may."""

    def in_time(self) -> AbstractContextManager[None]:
        """Limit the total time of the calls to Razorpay inside the block."""
        return self.gateway.within(_GATEWAY_BUDGET_S)


def dependencies(log: RequestLog) -> Dependencies:
    """Read the settings and connect everything.

    Raises:
        ConfigurationError: names every setting that is missing or invalid.
    """
    settings = _settings(aws.setting_texts(log))

    def renewed() -> RefundSettings:
        return _settings(aws.renewed_texts(log))

    gateway, rules = RotatingGateway(settings, renewed), settings.token_rules
    callers = None
    if rules is not None:
        # The scope does not come from a secret, so it is still set when the keys are read again.
        callers = Callers(_TokenSettings(rules), lambda: _TokenSettings(renewed().token_rules or rules), log)
    return Dependencies(
        refunder=Refunder(table=_table(settings.table), gateway=gateway),
        gateway=gateway,
        callers=callers,
        scope=settings.scope,
    )


def prime() -> None:
    """Load what the first request needs, but nothing secret; see `priming`."""
    models = (RefundSettings, RefundBody, RefundIntent, Attempt, Refund, PendingEvent, Mandate)
    is_open_to_tokens = bool(os.environ.get("REFUND_SCOPE"))
    also = [tokens.prime, razorpay.prime] if is_open_to_tokens else [razorpay.prime]
    priming.prime(_table, models=models, also=also)


def _table(name: str) -> PaymentsTable:
    return aws.table(name, attempts=2)


@lru_cache(maxsize=1)
def _settings(texts: aws.SettingTexts) -> RefundSettings:
    return refund_settings(texts.values())
