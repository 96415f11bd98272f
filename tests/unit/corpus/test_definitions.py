import pytest

from kindred.corpus.definitions import defined_name, definition_frames, first_sentence, name_in_words
from kindred.corpus.document import Document


def test_the_frame_is_that_of_the_prompt():
    document = Document("Solve the linear sum assignment problem.\n\nMore.", "a/b.py::linear_sum", "a")
    assert definition_frames([document, document]) == [
        'What is the meaning of the word "linear_sum"?\n'
        'The meaning of the word "linear_sum" is "Solve the linear sum assignment problem."',
        'What is the meaning of the word "linear sum"?\n'
        'The meaning of the word "linear sum" is "Solve the linear sum assignment problem."',
    ]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b.py::f.g_h#2", "g_h"),
        ("a/b.py::_private", "private"),
        ("a/b.py::C.__init__", ""),
        ("a/b.py::<module>", ""),
        ("a/b.py::_", ""),
        ("folder/file.txt", ""),
    ],
)
def test_names(source, name):
    assert defined_name(source) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("linear_sum", "linear sum"),
        ("LogisticRegression", "logistic regression"),
        ("HTMLParser2", "html parser 2"),
    ],
)
def test_words(name, words):
    assert name_in_words(name) == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Return the `x` of :class:`~a.b.Thing` now. Then more.", "Return the x of Thing now."),
        ("Return version 1.2 of the thing. Then more.", "Return version 1.2 of the thing."),
        ("lower case is no sentence here.", ""),
        ("Returns the thing without a full stop", ""),
        ('A "quoted" word would end the answer.', ""),
        ("Too short here.", ""),
        ("Word " * 50 + "end.", ""),
    ],
)
def test_sentences(text, sentence):
    assert first_sentence(text) == sentence
