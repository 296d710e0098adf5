"""`AWS::Events::Archive` in CloudFormation.

Stock: EventBridge archives and replays, but CloudFormation refuses the resource type, and with it the change set.

AWS: the resource exists; `Ref` is its name, `Arn` an attribute.

Why it matters: the same template must deploy here and on AWS.
"""

import json

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners


def apply():
    """Register the resource type."""
    provisioners._RESOURCE_HANDLERS["AWS::Events::Archive"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }


def create(logical_id, properties, stack_name):
    """Create the archive; returns its name and attributes."""
    name = properties.get("ArchiveName") or provisioners._physical_name(stack_name, logical_id, max_len=48)
    answer = _done(eventbridge._create_archive(_description(name, properties)))
    return name, {"Arn": answer["ArchiveArn"]}


def update(physical_id, old_properties, new_properties, stack_name):
    """Change description, pattern and retention in place. A new name or source replaces the archive on AWS."""
    for property_name in ("ArchiveName", "SourceArn"):
        if old_properties.get(property_name) != new_properties.get(property_name):
            delete(physical_id, old_properties)
            return create(physical_id, new_properties, stack_name)
    answer = _done(eventbridge._update_archive(_description(physical_id, new_properties)))
    return physical_id, {"Arn": answer["ArchiveArn"]}


def delete(physical_id, _properties):
    """Delete the archive; a missing one is not an error."""
    eventbridge._delete_archive({"ArchiveName": physical_id})


def _description(name, properties):
    pattern = properties.get("EventPattern") or ""
    return {
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "Description": properties.get("Description", ""),
        "EventPattern": json.dumps(pattern) if isinstance(pattern, dict) else pattern,
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }


def _done(answer):
    status, _headers, body = answer
    if status >= 400:
        message = f"AWS::Events::Archive: {body!r}"
        raise ValueError(message)
    return json.loads(body)
