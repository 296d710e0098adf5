"""The live view: shows what happens to each payment on the running service.

timeline   one payment's story, assembled from what each side knows; pure
observer   watches the payments table, the stand-in for Razorpay and the subscribers' inboxes while anyone is watching
board      what the watchers see, and what is new to each of them
stage      every role but the service: frontend, customer, merchant, and the switches
scenarios  what can be played, and the expected result
player     plays one scenario at a time on the running service
routes     the page, the stream of server-sent events, and the buttons
"""
