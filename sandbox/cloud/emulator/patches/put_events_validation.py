"""What PutEvents refuses.

Stock: any Detail of any size is accepted.

AWS: an entry without Source, DetailType or Detail, or whose Detail is not a JSON object, fails by itself (200 with
FailedEntryCount and the entry's ErrorCode); more than 1 MiB of entries fails the whole request.

Why it matters: an event that EventBridge would refuse must fail here, where a test reads FailedEntryCount.
Source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

import json

from ministack.core.responses import error_response_json, json_response
from ministack.services import eventbridge

TOTAL_LIMIT_BYTES = 1024 * 1024
TIME_BYTES = 14  # the size of an entry's Time, if given


def apply():
    """Refuse what AWS refuses, before the stock code runs."""
    stock = eventbridge._put_events

    def put_events(data, **options):
        entries = data.get("Entries", [])
        if sum(map(entry_size, entries)) > TOTAL_LIMIT_BYTES:
            message = "Total size of the entries in the request is over the limit."
            return error_response_json("ValidationException", message, 400)
        refusals = [refusal(entry) for entry in entries]
        if not any(refusals):
            return stock(data, **options)
        good = [entry for entry, refused in zip(entries, refusals, strict=True) if not refused]
        status, headers, body = stock({**data, "Entries": good}, **options)
        if status != 200:
            return status, headers, body
        answer = json.loads(body)
        accepted = iter(answer["Entries"])
        results = [refused or next(accepted) for refused in refusals]
        failed = sum("ErrorCode" in result for result in results)
        return json_response({"FailedEntryCount": failed, "Entries": results})

    eventbridge._put_events = put_events


def refusal(entry):
    """The failed result of an entry, or None."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            message = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": message}
    try:
        detail = json.loads(entry["Detail"])
    except ValueError:
        detail = None
    return (
        None if isinstance(detail, dict) else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    )


def entry_size(entry):
    """An entry's size in bytes, as counted for the limit.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html#eb-putevent-size
    """
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")] + (entry.get("Resources") or [])
    return sum(len(text.encode()) for text in texts) + (TIME_BYTES if "Time" in entry else 0)
