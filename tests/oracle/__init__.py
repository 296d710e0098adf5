"""The independent judge: what the service must look like once everything is quiet.

It is computed from Razorpay's data (`books`) and the actions of the outside world (`books.Outside`), by rules written
from the design and Razorpay's documents (`rules`, `expect`). Nothing here imports the service or its tests, so that
they cannot share a mistake; import-linter and `test_independence.py` enforce this.

    ledger = read_ledger(document)
    orders = expected_orders(ledger, outside, settings)
    complaints = judge_order(orders[order_id], seen)
"""
