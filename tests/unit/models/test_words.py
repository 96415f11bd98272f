from kindred.models.words import N_WORDS, distinct_words

TEXTS = {1: " the", 2: "the", 3: " row", 4: "\n", 5: "\ufffd", 6: "column", 7: "  ", 8: ""}


def test_words_are_stripped_and_stand_once_in_the_order_of_the_tokens():
    assert distinct_words([3, 1, 6, 2], TEXTS.__getitem__) == "row, the, column"


def test_white_space_and_parts_of_characters_are_no_words():
    assert distinct_words([4, 3, 5, 7, 8], TEXTS.__getitem__) == "row"
    assert distinct_words([4, 5, 7, 8], TEXTS.__getitem__) == ""


def test_no_more_tokens_are_taken_than_are_needed():
    tokens = iter(range(100))
    assert distinct_words(tokens, str) == ", ".join(map(str, range(N_WORDS)))
    assert next(tokens) == N_WORDS
