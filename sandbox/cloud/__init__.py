"""The local cloud: an AWS emulator with its known gaps fixed, and the driver that starts it and deploys to it.

`emulator` runs in a separate environment (.venvs/cloud); everything else here is part of the development environment
and calls the emulator through boto3, like AWS.
"""
