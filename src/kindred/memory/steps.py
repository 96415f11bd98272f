"""The peak memory of each step: a few products of sizes, each with the parameter that makes it smaller.

The factors were measured (benchmarks/memory.py); an estimate lies between 0.8 and 3 times what is measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kindred.corpus.text_files import text_paths
from kindred.memory.estimate import MIB, Estimate, Term
from kindred.memory.sizes import (
    SaeSize,
    array_shape,
    densest_feature,
    model_size,
    n_chosen,
    sae_size,
    sae_sizes,
)
from kindred.params import Params


@dataclass(frozen=True)
class Job:
    """What is known of a job before it starts.

    Attributes:
        params: The experiment's parameters.
        identity: The SAE, pair or shard; empty for a step that runs once.
        inputs: The input folders by argument name.
    """

    params: Params
    identity: str
    inputs: Mapping[str, list[Path]]

    @property
    def n_contexts(self) -> int:
        """Contexts of the corpus."""
        return array_shape(self.inputs["tokens"][0] / "tokens.npy")[0]

    @property
    def context_length(self) -> int:
        """Positions of a context."""
        return self.params.tokens.context_length


def estimate(step: str, job: Job) -> Estimate:
    """Estimate the peak of a step's job."""
    terms = _TERMS[step](job)
    return Estimate(_BASE[step] * MIB, tuple(term for term in terms if term.n_bytes > 0))


def _corpus(job: Job) -> list[Term]:
    """A row group of documents: gathered, put in one piece, compressed; a text file read whole."""
    params = job.params.corpus
    lower = "corpus.packages" if params.source == "pydocs" else "corpus.path (a folder of smaller files)"
    group = _ROW_GROUP
    terms = []
    if params.source == "text_files" and params.path is not None:
        sizes = {file: file.stat().st_size for file in text_paths(Path(params.path))}
        group = min(group, sum(sizes.values()))
        largest = max((size for file, size in sizes.items() if file.suffix.lower() == ".txt"), default=0)
        terms.append(Term("the largest .txt file, which is one document", 6 * largest, lower))
    return [Term("three times a row group of documents", 3 * group, lower), *terms]


def _tokens(job: Job) -> list[Term]:
    """Numbers for each document and each context; a batch of texts with all that the tokenizer says of them."""
    import pyarrow.parquet as pq  # noqa: PLC0415  (only the steps that read tables need it)

    n_documents = pq.read_metadata(job.inputs["corpus"][0] / "documents.parquet").num_rows
    n_contexts = job.params.tokens.n_tokens // (job.context_length - 1) + n_documents
    return [
        Term("texts tokenized in one call", 60 * MIB, "nothing (a constant)"),
        Term(f"48 bytes for each of {n_documents} documents", 48 * n_documents, "corpus.packages"),
        Term(f"32 bytes for each of up to {n_contexts} contexts", 32 * n_contexts, "tokens.n_tokens"),
    ]


def _activations(job: Job) -> list[Term]:
    """Weights; a forward pass; the dense pre-activations of some rows; the entries of a batch."""
    params = job.params
    rows = params.activations.batch_size * job.context_length
    saes = sae_sizes(params)
    terms = [_sae_weights(saes, "the pairs")]
    model = model_size(params)
    if model is not None:
        terms.append(Term("the model's weights", model.n_bytes, "model.dtype, or take a smaller model"))
        of_row = (6 * model.d_model + 3 * model.d_mlp) * model.itemsize + 4 * model.d_model
        terms.append(Term(f"a forward pass over {rows} tokens", rows * of_row, "activations.batch_size"))
    d_sae = max((size.d_sae for size in saes), default=0)
    terms.append(Term(f"pre-activations of 256 tokens, d_sae {d_sae}", 3 * 256 * d_sae * 4, "the pairs"))
    entries = rows * min(64, d_sae) * 12
    terms.append(Term(f"the activations of {rows} tokens", entries, "activations.batch_size"))
    return terms


def _features(job: Job) -> list[Term]:
    """A block of activations on its way, the features whose statistics are taken together, and the tables of all."""
    params = job.params.features
    size = sae_size(job.params, job.identity)
    d_sae = 0 if size is None else size.d_sae
    n_entries = sum(array_shape(shard / job.identity / "value.npy")[0] for shard in job.inputs["activations"])
    # At least one feature is looked at whole; which fires most is not known yet, and few do on more than a third.
    together = min(n_entries, max(_CHUNK_ENTRIES, job.n_contexts * job.context_length // 3))
    of_feature = 8 * (params.n_bins + job.context_length) + 8 * params.n_top_tokens + 200
    return [
        Term(
            "a block of activations that are put in order",
            10 * min(n_entries, _BLOCK_ENTRIES),
            "nothing (a constant)",
        ),
        Term(f"{together} activations of some features", 60 * together, "tokens.n_tokens"),
        Term(f"statistics of {d_sae} features", d_sae * of_feature, "features.n_bins, tokens.context_length"),
    ]


def _matching(job: Job) -> list[Term]:
    """Both dictionaries with their unit rows, a tile of similarities, and the candidate pairs."""
    sizes = [sae_size(job.params, name) for name in job.params.pairs[job.identity]]
    known = [size for size in sizes if size is not None]
    n_features = sum(size.d_sae for size in known)
    most = max((size.d_sae for size in known), default=0)
    weights = sum(size.n_bytes for size in known)
    lower = "d_sae (narrower SAEs)"
    return [
        Term("weights and unit rows of both SAEs", 4 * weights, lower),
        Term("tiles of similarities", 3 * 4 * min(most, 2048) * min(most, 8192), "nothing (a constant)"),
        Term(f"candidate pairs of {n_features} features", n_features * 64 * 100, lower),
    ]


def _windows(job: Job) -> list[Term]:
    """The runs of tokens and the least width of a window about each of them, and a block of contexts."""
    positions = job.n_contexts * job.context_length
    return [
        Term(f"48 bytes for each of {job.n_contexts} contexts", 48 * job.n_contexts, "tokens.n_tokens"),
        Term(f"a byte for 16 of {positions} positions each", positions // 16, "tokens.n_tokens"),
        Term("a block of contexts", 8 * min(positions, 1 << 20), "nothing (a constant)"),
    ]


def _explanation(job: Job) -> list[Term]:
    """Weights; keys and values of all rows; the logits of all rows in float32, some times over."""
    params = job.params.explanation
    size = sae_size(job.params, job.identity)
    terms = [] if size is None else [_sae_weights([size], "d_sae (a narrower SAE)")]
    model = model_size(job.params)
    if model is None:
        return terms
    n_rows = n_chosen(job.params, job.identity) * max(params.n_scales - 1, params.n_explanations)
    rows, n_tokens = min(params.batch_size, n_rows), _PROMPT + params.max_new_tokens
    cache = rows * n_tokens * model.n_layers * model.d_key_value * model.itemsize
    passes = rows * _PROMPT * (6 * model.d_model + 3 * model.d_mlp) * model.itemsize
    logits = rows * model.n_vocabulary * 4 * 4
    lower = "explanation.batch_size"
    return [
        *terms,
        Term("the model's weights", model.n_bytes, "model.dtype, or take a smaller model"),
        Term(f"keys and values of {rows} rows of {n_tokens} tokens", cache, lower),
        Term(f"a forward pass over {rows} rows", passes, lower),
        Term(f"logits of {rows} rows over {model.n_vocabulary} tokens", logits, lower),
    ]


def _scoring(job: Job) -> list[Term]:
    """The embedder and its batch; texts and vectors of the test contexts; the runs, order and copies of the chunks."""
    params = job.params.scoring
    n_features = n_chosen(job.params, job.identity)
    n_texts = n_features * (params.n_activating + params.n_negative)
    n_contexts = job.n_contexts
    n_chunks = n_contexts * -(-job.context_length // params.context_length)
    densest = densest_feature(job.inputs["features"][0])
    size = sae_size(job.params, job.identity)
    weights = 0 if size is None else size.n_bytes * (2 if params.negatives == "decoder" else 1)
    return [
        Term("the SAE's weights", weights, "d_sae (a narrower SAE)"),
        Term("the embedder", 120 * MIB, "scoring.embedder (take a smaller one)"),
        Term(f"a pass over {params.batch_size} texts", params.batch_size * 6 * MIB, "scoring.batch_size"),
        Term(f"texts and vectors of {n_texts} contexts", n_texts * 6000, "scoring.n_activating, n_negative"),
        Term(f"32 bytes for each of {n_contexts} contexts", 32 * n_contexts, "tokens.n_tokens"),
        Term(f"48 bytes for each of {n_chunks} chunks", 48 * n_chunks, "tokens.n_tokens"),
        Term(
            "a block of a feature's activations", min(densest, 1 << 20) * 60 + densest * 12, "tokens.n_tokens"
        ),
    ]


def _case_study(job: Job) -> list[Term]:
    """Blocks of two features' activations, and the tables of all scores."""
    densest = max(densest_feature(folder) for folder in job.inputs["features"])
    n_features = sum(n_chosen(job.params, sae) for sae in job.params.pairs[job.identity])
    return [
        Term("blocks of two features' activations", min(densest, 1 << 20) * 80, "nothing (a constant)"),
        Term(
            f"what is known of {n_features} features",
            n_features * 150_000,
            "matching.n_best, n_worst, n_control",
        ),
    ]


def _findings(job: Job) -> list[Term]:
    """The statistics of all features, and what is known of the chosen ones."""
    n_rows = sum(size.d_sae for size in sae_sizes(job.params))
    n_features = sum(n_chosen(job.params, sae) for pair in job.params.pairs.values() for sae in pair)
    return [
        Term(f"statistics of {n_rows} features", n_rows * 200, "the pairs"),
        Term(
            f"what is known of {n_features} features",
            n_features * 150_000,
            "matching.n_best, n_worst, n_control",
        ),
    ]


def _figures(job: Job) -> list[Term]:
    """Those, and a canvas."""
    dpi = job.params.figures.dpi
    canvas = 4 * 12 * 12 * dpi * dpi  # the largest figure is about a foot wide and high
    return [*_findings(job), Term(f"canvases at {dpi} dots per inch", 4 * canvas, "figures.dpi")]


def _report(job: Job) -> list[Term]:
    """Those, and the page with its figures inside."""
    return [*_findings(job), Term("the page", 40 * MIB, "report.n_windows")]


def _sae_weights(sizes: list[SaeSize], lower: str) -> Term:
    return Term("the weights of the SAEs", sum(size.n_bytes for size in sizes), lower)


_PROMPT = 32  # tokens of a self-explanation prompt, about
_ROW_GROUP = 64 * MIB  # as kindred.corpus.table writes them
_BLOCK_ENTRIES = 1 << 22  # as kindred.features.gather puts them in order
_CHUNK_ENTRIES = 1 << 21  # as kindred.features.statistics reads them

# MiB of anonymous memory after a step's imports, with what its libraries allocate at first use.
_BASE: Mapping[str, int] = {
    "corpus": 80,
    "tokens": 90,
    "activations": 340,
    "features": 130,
    "matching": 260,
    "windows": 150,
    "explanation": 350,
    "scoring": 330,
    "case_study": 125,
    "tables": 130,
    "figures": 155,
    "report": 145,
}

_TERMS: Mapping[str, Callable[[Job], list[Term]]] = {
    "corpus": _corpus,
    "tokens": _tokens,
    "activations": _activations,
    "features": _features,
    "matching": _matching,
    "windows": _windows,
    "explanation": _explanation,
    "scoring": _scoring,
    "case_study": _case_study,
    "tables": _findings,
    "figures": _figures,
    "report": _report,
}
