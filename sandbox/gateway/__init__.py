"""A stand-in for Razorpay: its API, its Checkout and its webhooks, on 127.0.0.1 and in memory.

`python -m sandbox.gateway --port N` serves it; README.md beside this file lists what it answers. Nothing here is
imported by the service: to the service this is a URL, as the real gateway is.

identifiers, signatures, entities, world   the account: orders, payments, refunds and the rules between them
validation, refusals                       what the API accepts, and the words in which it refuses
webhooks, clock, deliveries                the events, and their way to the merchant's URL
faults                                     the switches that make the gateway misbehave
checkout, checkout_page                    the customer who pays: the rules, and Checkout in a browser
api, control, connections, server          the HTTP in front of all that
"""
