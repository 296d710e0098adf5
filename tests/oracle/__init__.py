"""The independent judge: what the service must look like once everything is quiet.

It is computed from the books at Razorpay (`books`) and from what the outside world did (`books.Outside`), by rules
written from the design and from Razorpay's documents (`rules`, `expect`). Nothing here imports the service or any test
of it, so that both cannot share a mistake; import-linter holds that, and so does `test_independence.py`.

    ledger = read_ledger(document)
    orders = expected_orders(ledger, outside, settings)
    complaints = judge_order(orders[order_id], seen)
"""
