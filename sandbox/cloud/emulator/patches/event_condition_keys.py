"""`events:source` and `events:detail-type` in the conditions of a policy for PutEvents.

Stock: the keys are never set, so a statement that is limited to one source allows nothing.

AWS: each entry is authorised with its own source and detail type.

Why it matters: the webhook may publish under this service's own source only, and that limit is to be tested, not
taken out.
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html
"""

import json

from ministack.core import iam_actions


def apply():
    """Add the keys to what a request is evaluated with."""
    stock = iam_actions.request_tag_context

    def request_context(service, iam_action, body, routing_params):
        context = stock(service, iam_action, body, routing_params)
        return {**context, **put_events_context(body)} if iam_action == "events:PutEvents" else context

    iam_actions.request_tag_context = request_context


def put_events_context(body):
    """The keys of a PutEvents request; empty when it cannot be read, which the service itself refuses."""
    try:
        entries = json.loads(body)["Entries"]
        return {
            "events:source": only([entry["Source"] for entry in entries]),
            "events:detail-type": only([entry["DetailType"] for entry in entries]),
        }
    except (ValueError, TypeError, KeyError):
        return {}


def only(values):
    """The value all entries share. Otherwise a text that no policy names: AWS would ask for each of them."""
    return values[0] if len(set(values)) == 1 else "\n".join(values)
