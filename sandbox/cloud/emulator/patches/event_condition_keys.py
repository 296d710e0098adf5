"""`events:source` and `events:detail-type` in the conditions of a policy for PutEvents.

Stock: the keys are never set, so a statement that is limited to one source allows nothing.

AWS: each entry is authorised with its own source and detail type.

Why it matters: the webhook may publish only with this service's source, and that limit must be tested, not removed.
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
"""

import json

from ministack.core import iam_actions


def apply():
    """Add the keys to a request's evaluation context."""
    stock = iam_actions.request_tag_context

    def request_context(service, iam_action, body, routing_params):
        context = stock(service, iam_action, body, routing_params)
        return {**context, **put_events_context(body)} if iam_action == "events:PutEvents" else context

    iam_actions.request_tag_context = request_context


def put_events_context(body):
    """The keys of a PutEvents request; empty if it is unreadable, in which case the service refuses it."""
    try:
        entries = json.loads(body)["Entries"]
        return {
            "events:source": only([entry["Source"] for entry in entries]),
            "events:detail-type": only([entry["DetailType"] for entry in entries]),
        }
    except (ValueError, TypeError, KeyError):
        return {}


def only(values):
    """The value all entries share, otherwise a text that no policy names: AWS would check each of them."""
    return values[0] if len(set(values)) == 1 else "\n".join(values)
