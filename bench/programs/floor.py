"""The floor F of a cold start: the minimum for a program that calls DynamoDB through boto3.

It creates its client as the functions do, and reports its memory like `function.py`.
"""

import hashlib
import hmac
import json
import sys

import boto3

assert hashlib
assert hmac
assert json
boto3.client("dynamodb")

with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - as function.py
    sys.stderr.write(next(line for line in status if line.startswith("VmHWM")))
