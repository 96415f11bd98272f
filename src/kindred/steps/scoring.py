"""Step scoring: how well an SAE's explanations tell the contexts in which their features fire."""

import logging

from kindred.artefacts import explanation as explanation_artefact
from kindred.artefacts import features as features_artefact
from kindred.artefacts import scoring as artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.artefacts import windows as windows_artefact
from kindred.models.loading import load_tokenizer
from kindred.models.tokenizer import encode_documents
from kindred.scoring.embedding import load_embedder
from kindred.scoring.scores import score
from kindred.seeding import seed_of
from kindred.steps.job import Job, run
from kindred.steps.loading import open_sae
from kindred.windows.text import PassageDecoder


def work(job: Job) -> None:
    """Score the explanations of an SAE by the similarity of embeddings."""
    params = job.params
    explanations = job.read_one("explanation", explanation_artefact.load)
    tokenizer = load_tokenizer(params.model.source, revision=params.model.revision)
    scores = score(
        explanations.features.tolist(),
        explanations.texts,
        job.read_one("features", features_artefact.load).index,
        job.read_one("tokens", tokens_artefact.load).contexts,
        job.read_one("windows", windows_artefact.load),
        decode=PassageDecoder(tokenizer),
        count_tokens=lambda text: len(encode_documents(tokenizer, [text])[0]),
        embedder=load_embedder(
            params.scoring.embedder, device=params.model.device, batch_size=params.scoring.batch_size
        ),
        decoder_rows=open_sae(params, job.identity).W_dec.cpu().numpy(),
        params=params.scoring,
        seed=seed_of(params.seed, "scoring", job.identity),
        progress=job.progress,
    )
    note = artefact.truncation_note([scores])
    if note is not None:
        logging.warning(
            "scoring/%s: %s Lower scoring.context_length or windows.length, or choose another "
            "scoring.embedder",
            job.identity,
            note,
        )
    with job.write() as directory:
        artefact.save(scores, directory)


if __name__ == "__main__":
    run("scoring", work, inputs=("tokens", "features", "windows", "explanation"))
