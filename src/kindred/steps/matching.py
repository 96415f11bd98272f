"""Step matching: the features of a pair of SAEs one to one, and the pairs chosen for a closer look."""

import logging

import numpy as np

from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as artefact
from kindred.errors import KindredError
from kindred.matching.pairing import match_features
from kindred.matching.similarity import Dictionary
from kindred.params import MatchingParams
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
    for warning in check_choice(matching, left, right, params, job.identity):
        logging.warning("warning: %s", warning)
    with job.write() as directory:
        artefact.save(matching, directory)


def check_choice(
    matching: artefact.Matching, left: Dictionary, right: Dictionary, params: MatchingParams, pair: str
) -> list[str]:
    """Say before anything else is computed if fewer pairs were chosen than were asked for.

    Returns:
        One warning for each group that has too few pairs.

    Raises:
        KindredError: no pair was chosen at all, so there is nothing to explain or score.
    """
    if matching.chosen.empty:
        contexts = np.minimum(left.n_contexts_active[matching.left], right.n_contexts_active[matching.right])
        raise KindredError(
            f"pair {pair} of {left.name} and {right.name}: no pair of features was chosen, because none fires in "
            f"matching.min_contexts = {params.min_contexts} contexts (of the matched pairs, the one that fires most "
            f"has {contexts.max()}): lower min_contexts, raise tokens.n_tokens, or take {pair} out of pairs"
        )
    asked = {"best": params.n_best, "worst": params.n_worst, "control": params.n_control}
    counts = matching.chosen["group"].value_counts()
    short = [counts.get(group, 0) < n for group, n in asked.items()]
    return [
        f"pair {pair}: {note}; lower matching.min_contexts or ask for fewer"
        for note, is_short in zip(matching.notes, short, strict=True)
        if is_short
    ]


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
