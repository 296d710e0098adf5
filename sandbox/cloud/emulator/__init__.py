"""ministack, started as this service needs it: `python -m sandbox.cloud.emulator`, in the environment .venvs/cloud.

Four parts: `patches` (what ministack does differently from AWS and this service would notice), `lambda_runtime`
(the functions on AWS's own runtime client, alone in a clean environment), `front_door` (the API as behind its own
domain) and `outages` (AWS services that are away for a while).
"""
