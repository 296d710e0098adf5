"""Benchmarks of the service: starts, requests, load, what a payment uses and costs, and where its limits are.

`make bench` writes docs/evidence/performance.md; `python -m bench.scaling` writes the tables of docs/scaling.md and
docs/deploying.md. No test depends on timing.
"""
