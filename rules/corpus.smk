"""Needs the source of the text that params.corpus names; makes documents and packed contexts."""


rule corpus:
    """Collect the documents, with their sources and labels."""
    input:
        stamp=stamp("cache/corpus"),
    output:
        manifest="cache/corpus/manifest.json",
    log:
        "logs/corpus.log",
    benchmark:
        "logs/benchmarks/corpus.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
    shell:
        "python -m kindred.steps corpus --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store} --out cache/corpus"


rule tokens:
    """Tokenize the documents and pack them into contexts of equal length."""
    input:
        corpus=rules.corpus.output.manifest,
        stamp=stamp("cache/tokens"),
    output:
        manifest="cache/tokens/manifest.json",
    log:
        "logs/tokens.log",
    benchmark:
        "logs/benchmarks/tokens.tsv"
    threads: PARAMS.model.threads
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        snapshot=SNAPSHOT,
        store=STORE,
    shell:
        "python -m kindred.steps tokens --params {params.snapshot} --log {log}"
        " --memory {resources.mem_mb} --store {params.store} --out cache/tokens"
        " --corpus cache/corpus"
