"""What the command line tells instead of a traceback."""


class OpsError(Exception):
    """The command could not be run; the message says what to do about it."""


class Refused(OpsError):
    """The service refuses the command, because it would break a promise; the message says which."""
