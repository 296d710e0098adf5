"""The platform's proposals: what the Job and the Application service know of a purchase before it is paid.

On a real platform they would know it from their own database. Here whoever plays the platform tells them.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import boto3

SELLERS: Final = ("Job", "Application")
"""The subscribers that compare a payment with their own terms."""
_IDS: Final = ("application_id", "job_id", "client_id", "freelancer_id")


class Proposals:
    """The terms that the subscribers agreed to.

    Args:
        endpoints: as in `endpoints.json`. A subscriber that is not deployed is told nothing.
    """

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self._tables = [
            str(endpoints["subscribers"][f"{seller}Records"])
            for seller in SELLERS
            if f"{seller}Records" in endpoints["subscribers"]
        ]
        self._endpoints = endpoints

    def agree(self, order: Mapping[str, Any]) -> None:
        """Have a proposal accepted, or accepted anew on other terms.

        Args:
            order: as create-order takes it; `amount` in rupees.
        """
        if not self._tables:
            return
        terms = {name: order[name] for name in _IDS}
        terms |= {"amount": int(Decimal(str(order["amount"])) * 100), "currency": order.get("currency", "INR")}
        dynamodb = boto3.resource(
            "dynamodb",
            endpoint_url=self._endpoints["aws"],
            region_name=self._endpoints["region"],
            aws_access_key_id=self._endpoints["access_key_id"],
            aws_secret_access_key=self._endpoints["secret_access_key"],
        )
        for table in self._tables:
            dynamodb.Table(table).put_item(Item={"pk": f"terms#{terms['application_id']}", "terms": terms})
