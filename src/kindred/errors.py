"""Errors that a user can cause: one message that names the thing at fault and what to do about it."""

_LONGEST_REASON = 300  # characters of what a library says


class KindredError(Exception):
    """A user-facing error; the command line prints its message alone, without a traceback."""


def one_line(error: Exception) -> str:
    """Return the message of a library's exception on one line, shortened, or its class where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, LookupError | AttributeError | TypeError):  # which say a bare name, or speak of code
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
