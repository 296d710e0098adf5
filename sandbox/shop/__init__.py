"""The platform's side in the browser: a shop page, made to be copied, and the identity service it needs."""
