"""The platform's side in the browser: a shop page, meant to be copied, and the identity service it needs."""
