"""ministack, started as this service needs it: `python -m sandbox.cloud.emulator`, in the environment .venvs/cloud.

Four parts: `patches` (differences from AWS that affect this service), `lambda_runtime` (functions on AWS's runtime
client, isolated in a clean environment), `front_door` (the API behind its own domain) and `outages` (AWS services that
are down for a while).
"""
