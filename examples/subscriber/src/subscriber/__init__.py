"""A service that acts on payment events.

events     reads an event; only the fields that are used
rules      what this service does with each event: the part to change; pure
store      the service's tables
handler    the function: batches, retries, idempotency
"""
