r"""Text that no file in UTF-8 can hold: halves of surrogate pairs (``\ud83d`` in JSON), names in other encodings."""

import os


def mend_surrogates(text: str) -> str:
    r"""Put U+FFFD for each half of a surrogate pair that stands alone, which is no character; whole pairs are joined.

    >>> mend_surrogates("a\ud83db") == "a\N{REPLACEMENT CHARACTER}b"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def readable_name(name: str | bytes | os.PathLike[str]) -> str:
    r"""Return a file's name as text that can be written anywhere, bytes that are not UTF-8 as \xNN.

    >>> readable_name(b"caf\xe9.txt")
    'caf\\xe9.txt'
    """
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a half of a surrogate pair, which no file's name holds
        return str(name).encode(errors="backslashreplace").decode()
