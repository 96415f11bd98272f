"""Needs the model, the SAEs and the chosen features; makes explanations, their scores and the case study."""


rule explanation:
    """Let the model explain each chosen feature of an SAE by steering."""
    input:
        tokens=rules.tokens.output.manifest,
        matching=lambda wildcards: manifests_of_pairs_with(wildcards.sae),
        stamp=stamp("cache/explanation/{sae}"),
    output:
        manifest="cache/explanation/{sae}/manifest.json",
    log:
        "logs/explanation/{sae}.log",
    benchmark:
        "logs/benchmarks/explanation/{sae}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        matching=lambda wildcards, input: folders(input.matching),
    shell:
        "python -m kindred.steps explanation --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/explanation/{wildcards.sae} --tokens cache/tokens"
        " --matching {params.matching}"


rule scoring:
    """Score the explanations of an SAE by the similarity of embeddings."""
    input:
        tokens=rules.tokens.output.manifest,
        features=rules.features.output.manifest,
        windows=rules.windows.output.manifest,
        explanation=rules.explanation.output.manifest,
        stamp=stamp("cache/scoring/{sae}"),
    output:
        manifest="cache/scoring/{sae}/manifest.json",
    log:
        "logs/scoring/{sae}.log",
    benchmark:
        "logs/benchmarks/scoring/{sae}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
    shell:
        "python -m kindred.steps scoring --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/scoring/{wildcards.sae} --tokens cache/tokens"
        " --features cache/features/{wildcards.sae} --windows cache/windows/{wildcards.sae}"
        " --explanation cache/explanation/{wildcards.sae}"


rule case_study:
    """Put together what is known of both features of each chosen pair."""
    input:
        matching=rules.matching.output.manifest,
        features=lambda wildcards: expand(
            rules.features.output.manifest, sae=PARAMS.pairs[wildcards.pair]
        ),
        windows=lambda wildcards: expand(
            rules.windows.output.manifest, sae=PARAMS.pairs[wildcards.pair]
        ),
        explanation=lambda wildcards: expand(
            rules.explanation.output.manifest, sae=PARAMS.pairs[wildcards.pair]
        ),
        scoring=lambda wildcards: expand(
            rules.scoring.output.manifest, sae=PARAMS.pairs[wildcards.pair]
        ),
        stamp=stamp("cache/case_study/{pair}"),
    output:
        manifest="cache/case_study/{pair}/manifest.json",
    log:
        "logs/case_study/{pair}.log",
    benchmark:
        "logs/benchmarks/case_study/{pair}.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
        features=lambda wildcards, input: folders(input.features),
        windows=lambda wildcards, input: folders(input.windows),
        explanation=lambda wildcards, input: folders(input.explanation),
        scoring=lambda wildcards, input: folders(input.scoring),
    shell:
        "python -m kindred.steps case_study --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store}"
        " --out cache/case_study/{wildcards.pair} --matching cache/matching/{wildcards.pair}"
        " --features {params.features} --windows {params.windows}"
        " --explanation {params.explanation} --scoring {params.scoring}"
