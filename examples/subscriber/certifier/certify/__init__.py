"""Certifies a subscriber of payment events: does it come to the right end however the events arrive?

histories   the events that a payment can have, from the payment service's model
schedules   the ways in which they may arrive
rules       what a subscriber must have done, by what it received
subject     the handler under test, and its own view of what it did
search      tries schedules, and shrinks one that fails
__main__    the command
"""
