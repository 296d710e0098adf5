"""Delivery from a rule to its target: the queue's policy, and the target's dead-letter queue.

Stock: a rule writes to any SQS queue, whatever its policy, and an undeliverable event is dropped; `DeadLetterConfig` is
not modelled.

AWS: `events.amazonaws.com` needs `sqs:SendMessage` in the queue's policy, normally for `aws:SourceArn` = the rule. An
event that cannot be delivered because permission or target is missing goes to the dead-letter queue at once, with the
reason in message attributes. The dead-letter queue needs such a policy too.

Why it matters: a forgotten queue policy is the usual way to lose every event in production while all tests pass.
Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

import json
import logging

from ministack.core.responses import get_account_id
from ministack.services import eventbridge, lambda_svc, sqs

logger = logging.getLogger("ministack.eventbridge")

SERVICE = "events.amazonaws.com"


def apply():
    """Check before each delivery; send undeliverable events to the dead-letter queue."""
    stock = eventbridge._invoke_target

    def invoke_target(target, event, rule, view=None):
        # EventBridge Scheduler delivers through the same function, with a separate role.
        failure = undeliverable(target["Arn"], rule["Arn"]) if ":rule/" in rule.get("Arn", "") else None
        if failure is None:
            stock(target, event, rule, view)
            return
        view = view or eventbridge._pattern_event_view(event)
        set_aside(target, rule["Arn"], json.dumps(view.event_with_detail()), failure)

    eventbridge._invoke_target = invoke_target


def undeliverable(target_arn, rule_arn):
    """Why the target cannot receive the event, as (error code, message), or None."""
    service = target_arn.split(":")[2]
    if service == "sqs":
        if sqs._queue_by_arn(target_arn) is None:
            return "NO_RESOURCE", f"The queue {target_arn} does not exist."
        if not sqs.queue_policy_allows(target_arn, SERVICE, rule_arn, get_account_id()):
            return "NO_PERMISSIONS", f"{SERVICE} is not authorized to perform: sqs:SendMessage on {target_arn}"
    if service == "lambda" and not lambda_svc._get_func_record_for_ref(target_arn)[0]:
        return "NO_RESOURCE", f"The function {target_arn} does not exist."
    return None


def set_aside(target, rule_arn, body, failure):
    """Send the event to the target's dead-letter queue, if there is one and its policy allows the rule."""
    code, message = failure
    dead_letter_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letter_arn is None:
        logger.warning("Event dropped: %s (no dead-letter queue)", message)
        return
    if refused := undeliverable(dead_letter_arn, rule_arn):
        logger.warning("Event dropped: %s; dead-letter queue: %s", message, refused[1])
        return
    attributes = {"RULE_ARN": rule_arn, "TARGET_ARN": target["Arn"], "ERROR_CODE": code, "ERROR_MESSAGE": message}
    message_attributes = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    queue_url = sqs._queue_url(dead_letter_arn.rsplit(":", 1)[-1])
    sqs._act_send_message(
        {"QueueUrl": queue_url, "MessageBody": body, "MessageAttributes": message_attributes}, queue_url
    )
