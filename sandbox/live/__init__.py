"""The live view: what happens to each payment on the running service, for people who would rather look than read.

timeline   one payment's story, put together from what each side knows; pure
observer   looks at the payments table, the stand-in for Razorpay and the subscribers' inboxes, while somebody watches
board      what the watchers see, and what of it is new to each of them
stage      everybody but the service: frontend, customer, merchant, and the stagehand at the switches
scenarios  what can be played, and what must come of it
player     plays one scenario at a time, on the running service
routes     the page, the stream of server-sent events, and the buttons
"""
