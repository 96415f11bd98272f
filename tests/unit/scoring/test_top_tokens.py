import numpy as np

from kindred.models.words import N_WORDS
from kindred.scoring.top_tokens import top_tokens

TEXTS = {1: " the", 2: "the", 3: " row", 4: "\n", 5: "\ufffd", 6: "column"}


def test_tokens_by_summed_activation_each_text_once():
    tokens = np.array([3, 1, 6, 6, 2, 4, 5, 3])
    value = np.array([1.0, 5.0, 1.0, 1.5, 4.0, 9.0, 9.0, 1.0], dtype=np.float32)
    assert top_tokens([(tokens, value)], TEXTS.__getitem__) == "the, column, row"
    halves = [(tokens[:5], value[:5]), (tokens[5:], value[5:])]
    assert top_tokens(halves, TEXTS.__getitem__) == "the, column, row"


def test_ties_go_to_the_lower_id_and_the_list_has_an_end():
    tokens = np.arange(30)[::-1]
    listed = top_tokens([(tokens, np.ones(30, np.float32))], str)
    assert listed == ", ".join(map(str, range(N_WORDS)))


def test_a_feature_that_never_fires_has_no_list():
    assert top_tokens([(np.zeros(0, np.int32), np.zeros(0, np.float32))], str) == ""
