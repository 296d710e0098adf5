"""The gateway's client: one per function instance, for the functions that ask Razorpay (and so load its SDK)."""

from functools import cache

from payments.adapters.gateway import RazorpayGateway


@cache
def gateway(*, key_id: str, key_secret: str, api_url: str, stage: str) -> RazorpayGateway:
    """Razorpay under these keys; made again only when a secret was rotated."""
    return RazorpayGateway(key_id=key_id, key_secret=key_secret, api_url=api_url, stage=stage)
