"""Step matching: the features of a pair of SAEs one to one, and the pairs chosen for a closer look."""

import numpy as np

from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as artefact
from kindred.matching.pairing import match_features
from kindred.matching.similarity import Dictionary
from kindred.seeding import generator
from kindred.steps.job import Job, run
from kindred.steps.loading import open_sae


def work(job: Job) -> None:
    """Match the features of a pair of SAEs one to one, and choose the best, worst and control pairs."""
    features = job.read_each("features", features_artefact.load)
    left, right = (dictionary(job, name, features[name]) for name in job.params.pairs[job.identity])
    params = job.params.matching
    matching = match_features(
        left,
        right,
        similarity=params.similarity,
        threshold=params.threshold,
        n_best=params.n_best,
        n_worst=params.n_worst,
        n_control=params.n_control,
        min_contexts=params.min_contexts,
        generator=generator(job.params.seed, "matching", job.identity),
        device=job.params.model.device,
    )
    with job.write() as directory:
        artefact.save(matching, directory)


def dictionary(job: Job, name: str, features: features_artefact.Features) -> Dictionary:
    """The weights of an SAE, and in how many contexts each of its features fires."""
    sae = open_sae(job.params, name)
    return Dictionary(
        name=name,
        decoder=sae.W_dec.cpu().numpy(),
        encoder=sae.W_enc.T.cpu().numpy(),
        n_contexts_active=features.statistics.table["n_contexts_active"].to_numpy(dtype=np.int64),
    )


if __name__ == "__main__":
    run("matching", work, inputs=("features",))
