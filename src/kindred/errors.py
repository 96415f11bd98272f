"""Errors that a user can cause: one message that names the thing at fault and what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from kindred.characters import readable_name

_ADVICE = {
    errno.EROFS: "this place is read-only: copy or clone the project to a folder that you can write to",
    errno.EACCES: "it belongs to somebody else, or its mode forbids this: change its owner or mode (chown, chmod)",
    errno.ENOSPC: "the disk is full: free some space and run again; finished artefacts are kept",
    errno.EDQUOT: "your quota is used up: free some space and run again; finished artefacts are kept",
    errno.EEXIST: "something of another kind is in its place: move it away and run again",
    errno.ENOTDIR: "a file is in the place of a folder: move it away and run again",
    errno.EISDIR: "a folder is in the place of a file: move it away and run again",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n) and run again",
    errno.ELOOP: "its symbolic links lead round in a circle: repair them",
    errno.ESTALE: "the network file system lost it: run again",
    errno.EIO: "the disk could not read or write it: check the disk",
}
_ADVICE[errno.EPERM] = _ADVICE[errno.EACCES]
_LONGEST_REASON = 300  # characters of what a library says
_NO_FILE_NEEDED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE)


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


def file_error(error: OSError) -> KindredError | None:
    """Say in one line what the system refused to do with a file; None if it is not of that kind.

    A file that is missing is left out: nobody but the code that looked for it can say what should be there.
    """
    named = error.filename is not None and not isinstance(error.filename, int)  # an int is an open file
    if error.errno not in _ADVICE or not (named or error.errno in _NO_FILE_NEEDED):
        return None
    name = f"{readable_name(error.filename)}: " if named else ""
    return KindredError(f"{name}{error.strerror or error}: {_ADVICE[error.errno]}")


@contextmanager
def file_errors() -> Iterator[None]:
    """Turn what the system refuses to do with a file into a KindredError.

    Raises:
        KindredError: a file or folder cannot be read or written; the message names it and says what to do.
    """
    try:
        yield
    except OSError as error:
        told = file_error(error)
        if told is None:
            raise
        raise told from error


def one_line(error: Exception) -> str:
    """Return the message of a library's exception on one line, shortened, or its class where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, LookupError | AttributeError | TypeError):  # which say a bare name, or speak of code
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
