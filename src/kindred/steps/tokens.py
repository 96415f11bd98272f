"""Step tokens: a seeded choice of the documents, tokenized and packed into contexts of equal length."""

from collections.abc import Iterable, Iterator
from functools import partial
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from kindred.artefacts import corpus as corpus_artefact
from kindred.artefacts import tokens as artefact
from kindred.corpus.packing import pack_documents
from kindred.corpus.selection import tokenize_up_to
from kindred.models.loading import check_tokenizer, load_tokenizer
from kindred.models.tokenizer import encode_documents, special_tokens
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Tokenize the documents and pack them into contexts of equal length."""
    params = job.params.tokens
    documents = job.read_one("corpus", corpus_artefact.load)
    model = job.params.model
    tokenizer = load_tokenizer(model.source, revision=model.revision)
    check_tokenizer(tokenizer, model.source, revision=model.revision)
    encode = partial(encode_documents, tokenizer)
    with job.write() as directory, TemporaryFile(dir=directory) as spill:
        chosen = tokenize_up_to(documents, encode, params.n_tokens, job.params.seed, spill)
        contexts = pack_documents(
            chosen,
            params.context_length,
            special_tokens(tokenizer),
            pack=params.pack,
            new_array=partial(artefact.new_array, directory),
        )
        artefact.save(artefact.Tokens(contexts, _at(documents.places, chosen.places)), directory)


def _at(rows: Iterable[tuple[str, ...]], wanted: NDArray[np.int64]) -> Iterator[tuple[str, ...]]:
    """Yield the rows at some places, ascending."""
    places = iter(wanted.tolist())
    place = next(places, None)
    for number, row in enumerate(rows):
        if number == place:
            yield row
            place = next(places, None)


if __name__ == "__main__":
    run("tokens", work, inputs=("corpus",))
