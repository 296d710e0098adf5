"""What `sam build` runs to make the layers and the functions: locked wheels, a pruned AWS SDK, byte code.

Standard library only: it runs on whatever Python 3.13 is on PATH, before anything is installed.
"""
