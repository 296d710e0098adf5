"""A stand-in for Razorpay: its API, its Checkout and its webhooks, on 127.0.0.1 and in memory.

`python -m sandbox.gateway --port N` serves it. README.md in this folder lists its answers. The service imports nothing
from here: like the real gateway, it is just a URL to the service.

identifiers, signatures, entities, world   the account: orders, payments, refunds and the rules between them
validation, refusals                       what the API accepts, and the texts of its refusals
webhooks, clock, deliveries                the events, and how they reach the merchant's URL
faults                                     the switches that make the gateway misbehave
checkout, checkout_page                    the paying customer: the rules, and Checkout in a browser
api, control, connections, server          the HTTP layer on top
"""
