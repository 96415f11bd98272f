import pytest

from kindred.errors import one_line


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("the file\n  is  broken"), "the file is broken"),
        (KeyError("gelu"), "KeyError: 'gelu'"),
        (RuntimeError(), "RuntimeError"),
        (OSError("x" * 400), "x" * 297 + "..."),
    ],
)
def test_the_message_of_a_library_is_one_short_line(error, text):
    assert one_line(error) == text
