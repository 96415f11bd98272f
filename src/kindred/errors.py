"""Errors that a user can cause: one message that names the thing at fault and what to do about it."""


class KindredError(Exception):
    """A user-facing error; the command line prints its message alone, without a traceback."""
