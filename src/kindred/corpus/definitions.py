"""Definition sentences found in documentation, in the frame of the self-explanation prompt.

A language model of this size answers a question only if it has read questions; the frame is that of
'Self-explaining SAE features' (Kharlapenko, neverix, Nanda, Conmy 2024); the sentences are the corpus's own.
"""

import re
from collections.abc import Iterable

from kindred.corpus.document import Document

QUESTION = 'What is the meaning of the word "{name}"?'
ANSWER = 'The meaning of the word "{name}" is "{sentence}"'
FRAME = f"{QUESTION}\n{ANSWER}"

MINIMUM_WORDS = 4
MAXIMUM_WORDS = 40

_SENTENCE = re.compile(r"[A-Z][^\n]*?\.(?=\s|$)")
_ROLE = re.compile(r":[a-z:]+:`~?(?:[^`]*\.)?([^`<]+?)(?:\s*<[^`]*>)?`")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,}")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def definition_frames(documents: Iterable[Document]) -> list[str]:
    """Make frames of the documents that define a name, each for the identifier and for the name in words.

    Frames come in the order of the documents, each once.
    """
    frames: dict[str, None] = {}
    for document in documents:
        name = defined_name(document.source)
        sentence = first_sentence(document.text)
        if name and sentence:
            for form in dict.fromkeys((name, name_in_words(name))):
                frames[FRAME.format(name=form, sentence=sentence)] = None
    return list(frames)


def defined_name(source: str) -> str:
    """Return the identifier that a source defines, without outer underscores, or an empty string.

    >>> defined_name("scipy/optimize/_lsap.py::linear_sum_assignment#2")
    'linear_sum_assignment'
    """
    name = source.partition("::")[2].partition("#")[0].rpartition(".")[2]
    if name.startswith("__"):
        return ""
    name = name.strip("_")
    return name if _NAME.fullmatch(name) else ""


def name_in_words(name: str) -> str:
    """Split an identifier into lower-case words.

    >>> name_in_words("HTMLParser_v2")
    'html parser v 2'
    """
    return " ".join(word.lower() for word in _WORDS.findall(name))


def first_sentence(text: str) -> str:
    """Return the sentence that a text opens with, without its markup, or an empty string."""
    match = _SENTENCE.match(text)
    if match is None:
        return ""
    sentence = _ROLE.sub(r"\1", match.group()).replace("`", "").replace("*", "")
    n_words = len(sentence.split())
    return sentence if MINIMUM_WORDS <= n_words <= MAXIMUM_WORDS and '"' not in sentence else ""
