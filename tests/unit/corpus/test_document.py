import hashlib

from kindred.corpus.document import Document, documents_sha256


def test_every_field_and_the_order_count():
    one, two = Document("ab", "c", "d"), Document("a", "bc", "d")
    hashes = {
        documents_sha256(documents)
        for documents in ([], [one], [two], [one, two], [two, one], [Document("ab", "c", "e")])
    }
    assert len(hashes) == 6


def test_a_known_hash():
    content = b"".join(len(field).to_bytes(8, "little") + field for field in (b"text", b"\xc3\xbc", b"label"))
    assert documents_sha256([Document("text", "ü", "label")]) == hashlib.sha256(content).hexdigest()
