"""Measures the service: cold start, warm path, calls, bytes, cost, growth, and what happens beyond the limits.

`make bench` runs all of it and writes docs/evidence/performance.md. No test depends on how long anything takes.
"""
