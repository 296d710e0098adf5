"""Checkout in a browser: the script that a merchant's page loads, the frame it opens, and the frame's endpoints.

`checkout.js` is for any page on this machine; everything else is only for the frame. `routes` serves all of it; the
other files are sent to the browser.
"""
