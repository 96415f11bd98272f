r"""Halves of surrogate pairs, which JSON and Python can spell (``\ud83d``) and no file in UTF-8 can hold."""


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
