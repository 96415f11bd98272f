import json
import os

from hypothesis import given
from hypothesis import strategies as st

from kindred.characters import mend_surrogates, readable_name


@given(st.text(st.characters(codec=None, categories=None), max_size=30))
def test_mending_touches_nothing_but_lone_halves(text):
    mended = mend_surrogates(text)
    mended.encode()
    joined = json.loads(json.dumps(text))  # JSON joins whole pairs
    assert mended == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in joined)


def test_any_name_can_be_written():
    assert readable_name("caf\u00e9") == "caf\u00e9"
    assert readable_name(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert readable_name("half \ud83d") == "half \\ud83d"
    assert readable_name(b"caf\xe9") == "caf\\xe9"
