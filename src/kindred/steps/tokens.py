"""Step tokens: a seeded choice of the documents, tokenized and packed into contexts of equal length."""

from kindred.artefacts import corpus as corpus_artefact
from kindred.artefacts import tokens as artefact
from kindred.corpus.packing import pack_documents
from kindred.corpus.selection import tokenize_up_to
from kindred.models.loading import load_tokenizer
from kindred.models.tokenizer import encode_documents, special_tokens
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Tokenize the documents and pack them into contexts of equal length."""
    params = job.params.tokens
    documents = job.read_one("corpus", corpus_artefact.load)
    tokenizer = load_tokenizer(job.params.model.source, revision=job.params.model.revision)
    indices, token_ids = tokenize_up_to(
        documents,
        lambda texts: encode_documents(tokenizer, texts),
        params.n_tokens,
        job.params.seed,
    )
    contexts = pack_documents(token_ids, params.context_length, special_tokens(tokenizer), pack=params.pack)
    tokens = artefact.Tokens(
        contexts,
        [documents[index].source for index in indices],
        [documents[index].label for index in indices],
    )
    with job.write() as directory:
        artefact.save(tokens, directory)


if __name__ == "__main__":
    run("tokens", work, inputs=("corpus",))
