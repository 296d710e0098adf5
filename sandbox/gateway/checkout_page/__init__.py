"""Checkout in a browser: the script a merchant's page loads, the frame it opens, and what the frame may ask.

`checkout.js` is for every page on this machine; everything else is for the frame alone. routes serves it all; the
other files are what a browser gets.
"""
