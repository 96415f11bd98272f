"""Step windows: where each chosen feature of an SAE fires most."""

from kindred.artefacts import features as features_artefact
from kindred.artefacts import matching as matching_artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.artefacts import windows as artefact
from kindred.matching.chosen import chosen_features
from kindred.models.loading import load_tokenizer
from kindred.steps.job import Job, run
from kindred.windows.text import PassageDecoder
from kindred.windows.top import top_windows


def work(job: Job) -> None:
    """Find the windows in which each chosen feature of an SAE fires most."""
    contexts = job.read_one("tokens", tokens_artefact.load).contexts
    features = job.read_one("features", features_artefact.load)
    matchings = job.read_each("matching", matching_artefact.load)
    tokenizer = load_tokenizer(job.params.model.source, revision=job.params.model.revision)
    windows = top_windows(
        features.index,
        chosen_features(job.identity, job.params.pairs, matchings),
        contexts,
        length=job.params.windows.length,
        min_length=job.params.windows.min_length,
        n_top=job.params.windows.n_top,
        decode=PassageDecoder(tokenizer),
    )
    with job.write() as directory:
        artefact.save(windows, directory)


if __name__ == "__main__":
    run("windows", work, inputs=("tokens", "features", "matching"))
