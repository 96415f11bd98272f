import json

from hypothesis import given
from hypothesis import strategies as st

from kindred.characters import mend_surrogates


@given(st.text(st.characters(codec=None, categories=None), max_size=30))
def test_mending_touches_nothing_but_lone_halves(text):
    mended = mend_surrogates(text)
    mended.encode()
    joined = json.loads(json.dumps(text))  # JSON joins whole pairs
    assert mended == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in joined)
