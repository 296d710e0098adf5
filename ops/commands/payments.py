"""Look at payments: one of them, those of a client or an application, and what is waiting for whom."""

import re

import click

from ops.desk import Desk, command
from ops.errors import OpsError
from payments.core.model import ORDER_ID, Record


def record_of(desk: Desk, order_id: str) -> Record:
    """Return an order's record.

    Raises:
        OpsError: there is none.
    """
    if not re.match(ORDER_ID, order_id):
        raise OpsError(f"{order_id!r} is no order id: one looks like order_DESlLckIVRkHWj.")
    record = desk.cloud.table.read(order_id)
    if record is None:
        raise OpsError(f"{desk.cloud.stage} has no record of {order_id}. Look for it with `find`.")
    return record


@command("show")
@click.argument("order_id")
def show(desk: Desk, order_id: str) -> None:
    """Show a payment as a timeline."""
    record = record_of(desk, order_id)
    desk.tell({"order_id": record.order_id, "status": record.status.value}, f"{record.order_id} is {record.status}")


COMMANDS = (show,)
