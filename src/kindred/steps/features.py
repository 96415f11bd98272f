"""Step features: an SAE's activations feature by feature, with each feature's statistics."""

from kindred.artefacts import activations as activations_artefact
from kindred.artefacts import features as artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.features.gather import gather
from kindred.features.statistics import feature_statistics
from kindred.steps.job import Job, run


def work(job: Job) -> None:
    """Gather an SAE's activations from all shards, feature by feature, with their statistics."""
    params = job.params.features
    contexts = job.read_one("tokens", tokens_artefact.load).contexts
    shards = list(job.read_each("activations", activations_artefact.load).values())
    with job.write() as directory:
        index = gather(shards, job.identity, contexts.is_special, directory=directory)
        job.progress(1, 2)
        statistics = feature_statistics(
            index,
            contexts.tokens,
            n_bins=params.n_bins,
            n_top_tokens=params.n_top_tokens,
            n_top_activations=params.n_top_activations,
        )
        artefact.save(artefact.Features(index, statistics), directory)
    job.progress(2, 2)


if __name__ == "__main__":
    run("features", work, inputs=("tokens", "activations"))
