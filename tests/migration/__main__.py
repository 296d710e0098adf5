"""Import many rows into the local cloud, twice, and say how long it took: `make migration ROWS=100000`."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import development
from sandbox.cloud.build import PROJECT
from sandbox.cloud.cloud import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Cloud
from tests.handlers.template import table_schema
from tests.migration.rows import rows, write_dump

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLE = "payments-migration"


def main() -> int:
    """Run both imports. Returns 1 if the first does not make one record of each row, or the second adds anything."""
    parser = argparse.ArgumentParser(prog="python -m tests.migration", description=__doc__)
    parser.add_argument("rows", type=int)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, Cloud.start(Path(folder) / "cloud") as cloud:
        client = cloud.client("dynamodb")
        client.create_table(TableName=TABLE, **table_schema())
        export = Path(folder) / "payments.jsonl"
        write_dump(export, rows(count, int(time.time()), development.RAZORPAY_KEY_SECRET))
        first = _import(cloud, export)
        print(f"{count:,} rows: {first:.0f} s, {count / first:,.0f} a second. Counting the records ...", flush=True)
        records, items = _records(client), _items(client)
        again = _import(cloud, export)
        print(f"The same file again: {again:.0f} s.")
        print(f"{records:,} records; {items:,} items after the first import, {_items(client):,} after the second.")
        return 0 if records == count and items == _items(client) else 1


def _import(cloud: Cloud, export: Path) -> float:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": cloud.aws_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "RAZORPAY_KEY_SECRET": development.RAZORPAY_KEY_SECRET,
        "PYTHONPATH": "shared",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "tools.import_payments", str(export), "--table", TABLE]
    began = time.monotonic()
    exported_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    subprocess.run([*command, "--exported-at", exported_at], env=environment, cwd=PROJECT, check=True)  # noqa: S603 - ours
    return time.monotonic() - began


def _records(client: "DynamoDBClient") -> int:
    pages = client.get_paginator("scan").paginate(
        TableName=TABLE,
        Select="COUNT",
        FilterExpression="begins_with(pk, :kind)",
        ExpressionAttributeValues={":kind": {"S": "order#"}},
    )
    return sum(page["Count"] for page in pages)


def _items(client: "DynamoDBClient") -> int:
    """All items of the table. The local cloud knows it at once, and takes minutes to scan so many."""
    return client.describe_table(TableName=TABLE)["Table"]["ItemCount"]


if __name__ == "__main__":
    sys.exit(main())
