"""Needs the contexts, the model and the SAEs; makes the sparse store and each SAE's index of features."""


rule activations:
    """Run the model once over a shard of the contexts and encode with every SAE."""
    input:
        tokens=rules.tokens.output.manifest,
        stamp=stamp("cache/activations/{shard}"),
    output:
        manifest="cache/activations/{shard}/manifest.json",
    log:
        "logs/activations/{shard}.log",
    benchmark:
        "logs/benchmarks/activations/{shard}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
    shell:
        "python -m kindred.steps activations --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/activations/{wildcards.shard} --tokens cache/tokens"


rule features:
    """Gather an SAE's activations from all shards, feature by feature, with their statistics."""
    input:
        tokens=rules.tokens.output.manifest,
        activations=expand(rules.activations.output.manifest, shard=SHARDS),
        stamp=stamp("cache/features/{sae}"),
    output:
        manifest="cache/features/{sae}/manifest.json",
    log:
        "logs/features/{sae}.log",
    benchmark:
        "logs/benchmarks/features/{sae}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        activations=lambda wildcards, input: folders(input.activations),
    shell:
        "python -m kindred.steps features --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/features/{wildcards.sae} --tokens cache/tokens"
        " --activations {params.activations}"
