import numpy as np
import pytest

from kindred.corpus.packing import SpecialTokens, pack_documents
from kindred.models.attention import attended_positions


@pytest.mark.parametrize(
    ("special", "attended"),
    [
        ("S....", "aaaaa"),
        ("S..SS", "aaa__"),
        ("S.S.S", "aaaa_"),  # an EOS between two documents
        ("SSSSS", "a____"),
        (".....", "aaaaa"),
        ("S", "a"),
    ],
)
def test_what_is_attended_to(special, attended):
    found = attended_positions(np.array([[mark == "S" for mark in special]]))
    assert "".join("a" if mark else "_" for mark in found[0]) == attended


def test_the_eos_of_every_document_but_the_last_of_a_packed_context_is_attended_to():
    contexts = pack_documents([[5, 6], [7], [8, 9, 10, 11]], 8, SpecialTokens(bos=0, eos=1, pad=2), pack=True)
    attended = attended_positions(contexts.is_special)
    assert attended[~contexts.is_special].all()
    for row, mask in zip(contexts.tokens, attended, strict=True):
        last = int(np.flatnonzero(mask)[-1])
        assert mask[: last + 1].all()
        assert set(row[last + 1 :].tolist()) <= {1, 2}
