"""Errors that a user can cause: one message that names the thing at fault and what to do about it."""


class KindredError(Exception):
    """A user-facing error; the command line prints its message alone, without a traceback."""


class NoRoomError(KindredError):
    """The disk is full.

    Attributes:
        n_bytes: What had been written when it was found full; zero if that is not known.
    """

    def __init__(self, message: str, n_bytes: int = 0) -> None:
        super().__init__(message)
        self.n_bytes = n_bytes
