"""Needs the SAEs and their features' firing counts; makes matched pairs and the windows of those chosen."""


rule matching:
    """Match the features of a pair of SAEs one to one, and choose the best, worst and control pairs."""
    input:
        features=lambda wildcards: expand(
            rules.features.output.manifest, sae=PARAMS.pairs[wildcards.pair]
        ),
        stamp=stamp("cache/matching/{pair}"),
    output:
        manifest="cache/matching/{pair}/manifest.json",
    log:
        "logs/matching/{pair}.log",
    benchmark:
        "logs/benchmarks/matching/{pair}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        features=lambda wildcards, input: folders(input.features),
    shell:
        "python -m kindred.steps matching --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/matching/{wildcards.pair} --features {params.features}"


rule windows:
    """Find the windows in which each chosen feature of an SAE fires most."""
    input:
        tokens=rules.tokens.output.manifest,
        features=rules.features.output.manifest,
        matching=lambda wildcards: manifests_of_pairs_with(wildcards.sae),
        stamp=stamp("cache/windows/{sae}"),
    output:
        manifest="cache/windows/{sae}/manifest.json",
    log:
        "logs/windows/{sae}.log",
    benchmark:
        "logs/benchmarks/windows/{sae}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        matching=lambda wildcards, input: folders(input.matching),
    shell:
        "python -m kindred.steps windows --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/windows/{wildcards.sae} --tokens cache/tokens"
        " --features cache/features/{wildcards.sae} --matching {params.matching}"
