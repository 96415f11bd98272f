"""Step explanation: the model explains each chosen feature of an SAE by steering."""

import numpy as np
import torch

from kindred.artefacts import explanation as artefact
from kindred.artefacts import matching as matching_artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.explanation.self_explanation import explain
from kindred.matching.chosen import chosen_features
from kindred.seeding import seed_of
from kindred.steps.job import Job, run
from kindred.steps.loading import open_model, open_sae

NEUTRAL_CONTEXTS = 64  # enough for a mean norm to three digits; taken evenly from the corpus


def work(job: Job) -> None:
    """Let the model explain each chosen feature of an SAE by steering."""
    contexts = job.read_one("tokens", tokens_artefact.load).contexts
    matchings = job.read_each("matching", matching_artefact.load)
    features = chosen_features(job.identity, job.params.pairs, matchings)
    rows = np.unique(np.linspace(0, contexts.n_contexts - 1, NEUTRAL_CONTEXTS).astype(np.int64))
    sae = open_sae(job.params, job.identity)
    explanations = explain(
        open_model(job.params),
        sae.W_dec[features],
        features,
        neutral_tokens=torch.from_numpy(contexts.tokens[rows].astype(np.int64)),
        neutral_special=torch.from_numpy(np.array(contexts.is_special[rows])),
        params=job.params.explanation,
        hook_point=sae.hook_point,
        seed=seed_of(job.params.seed, "explanation", job.identity),
        progress=job.progress,
    )
    with job.write() as directory:
        artefact.save(explanations, directory)


if __name__ == "__main__":
    run("explanation", work, inputs=("tokens", "matching"))
