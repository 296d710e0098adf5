"""The local cloud: an AWS emulator with its known gaps closed, and the driver that starts it and deploys to it.

`emulator` runs in an environment of its own (.venvs/cloud); everything else here belongs to the development environment
and talks to the emulator as it would to AWS, through boto3.
"""
