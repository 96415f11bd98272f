"""Step activations: one forward pass over a shard of the contexts serves every SAE."""

import torch

from kindred.activations.encoding import encode_contexts
from kindred.activations.sharding import shard_contexts
from kindred.artefacts import activations as artefact
from kindred.artefacts import tokens as tokens_artefact
from kindred.steps.job import Job, run
from kindred.steps.loading import open_model, open_saes


def work(job: Job) -> None:
    """Run the model once over a shard of the contexts and encode with every SAE."""
    contexts = job.read_one("tokens", tokens_artefact.load).contexts
    rows = shard_contexts(contexts.n_contexts, job.params.activations.n_shards, int(job.identity))
    model = open_model(job.params)
    saes = open_saes(job.params, model)
    context_length = contexts.tokens.shape[1]
    d_sae = {sae.name: sae.d_sae for sae in saes}
    batch_size = job.params.activations.batch_size
    batches = encode_contexts(
        model,
        saes,
        contexts.tokens[rows.start : rows.stop],
        contexts.is_special[rows.start : rows.stop],
        batch_size=batch_size,
        first_context=rows.start,
    )
    advance = job.counter(-(-len(rows) // batch_size))
    with (
        torch.inference_mode(),
        job.write() as directory,
        artefact.writing_shard(directory, rows.start, len(rows), context_length, d_sae) as append,
    ):
        for batch in batches:
            append(batch)
            advance(1)


if __name__ == "__main__":
    run("activations", work, inputs=("tokens",))
