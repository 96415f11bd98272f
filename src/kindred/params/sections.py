"""The sections of params.yaml, one frozen model per step; values live in params.yaml alone (no defaults)."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kindred.arithmetic import Arithmetic
from kindred.params.saes import SaeParams, Text

# An SAE's or pair's name is a folder name and a Snakemake wildcard, so it must hold no separator.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
Count = Annotated[int, Field(ge=1)]
CountFromZero = Annotated[int, Field(ge=0)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys, no coerced types, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelParams(Section):
    """The language model."""

    source: Text = Field(description="a local folder in Hugging Face format, or a hub name")
    revision: Text | None = Field(description="a hub revision; null: the hub's default branch")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(description="of the weights and activations")
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")] = Field(
        description="where the model runs", json_schema_extra={"allowed": "cpu, mps, cuda, cuda:N"}
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        description="of one job, fixed so that results do not depend on --cores"
    )


# What each source of text reads of its section. Of another source, a key holds the value that asks for nothing.
CORPUS_KEYS = {
    "pydocs": ("packages",),
    "text_files": ("path", "text_column", "label_column"),
    "hf_dataset": ("path", "split", "text_column", "label_column"),
}
CORPUS_UNSET = {"packages": None, "path": None, "split": "train", "text_column": "text", "label_column": None}


class CorpusParams(Section):
    """The text that features are read from."""

    source: Literal["pydocs", "text_files", "hf_dataset"] = Field(description="where the documents come from")
    packages: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)] | None = Field(
        description="pydocs: packages whose documentation is read; null: the default list"
    )
    path: Text | None = Field(description="text_files: a folder; hf_dataset: a hub name or a local folder")
    split: Text = Field(description="hf_dataset: the split, or a part of it: train[:1000]")
    text_column: Text = Field(
        description="of the text: hf_dataset: the column; text_files: the key in a line of JSON"
    )
    label_column: Text | None = Field(
        description="of a label: hf_dataset: the column; text_files: the key; null: none (key label)"
    )


class TokensParams(Section):
    """How documents become contexts of equal length."""

    n_tokens: Count = Field(description="tokens at most; special positions not counted")
    context_length: Annotated[int, Field(ge=2)] = Field(description="positions of a context, BOS included")
    pack: bool = Field(description="whether a context may span documents")


class ActivationsParams(Section):
    """The forward passes and the sparse store."""

    n_shards: Annotated[int, Field(ge=1, le=10_000)] = Field(
        description="jobs that the contexts are divided over"
    )
    batch_size: Count = Field(description="contexts in one forward pass")


class FeaturesParams(Section):
    """The index of features and their statistics over the corpus."""

    n_bins: Count = Field(description="bins of the log-spaced histogram of activations")
    n_top_tokens: Count = Field(description="tokens kept for each feature, by summed activation")
    n_top_activations: Count = Field(description="activations over which the single-token share is taken")


class MatchingParams(Section):
    """The one-to-one matching of two dictionaries and the choice of pairs."""

    similarity: Literal["decoder", "encoder", "both"] = Field(description="cosine of which weights")
    threshold: Cosine = Field(description="cosine above which a matched pair is called shared")
    n_best: CountFromZero = Field(description="chosen pairs of highest similarity")
    n_worst: CountFromZero = Field(description="chosen pairs of lowest similarity")
    n_control: CountFromZero = Field(description="chosen random mismatched pairs")
    min_contexts: CountFromZero = Field(
        description="contexts in which both features of a chosen pair must fire"
    )


class WindowsParams(Section):
    """The top activated windows."""

    length: Count = Field(description="tokens of a window")
    min_length: Count = Field(
        description="tokens of the shortest window, which a short document or context has"
    )
    n_top: Count = Field(description="windows for each criterion")


class ExplanationParams(Section):
    """Self-explanation by steering."""

    template: Literal["meaning", "repeat"] = Field(description="the prompt with the placeholder")
    injection: Literal["add", "replace", "mean_plus"] = Field(
        description="how the direction enters the residual"
    )
    norm: Literal["relative", "absolute"] = Field(
        description="unit of the scale: the mean residual norm at inject_layer, or one"
    )
    inject_layer: CountFromZero = Field(description="the block at whose input the direction enters")
    probe_layer: CountFromZero | None = Field(
        description="the block whose output self-similarity is read at; null: the last block"
    )
    n_scales: Annotated[int, Field(ge=2)] = Field(description="scales of the grid from 0 to max_scale")
    max_scale: Annotated[float, Field(gt=0)] = Field(description="the largest scale, in units of norm")
    metric: Literal["entropy", "crossent"] = Field(description="what self-similarity is weighed against")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        description="weight of self-similarity in the composite"
    )
    failure_threshold: Cosine = Field(
        description="a largest self-similarity below it marks a feature as not self-explainable"
    )
    n_explanations: Count = Field(description="scales that give one generation each")
    max_new_tokens: Count = Field(description="tokens of one generation")
    decoding: Literal["greedy", "sample"] = Field(description="how tokens are chosen")
    temperature: Annotated[float, Field(gt=0)] = Field(description="of sampling; unused by greedy decoding")
    batch_size: Count = Field(description="rows (features x scales) in one forward pass")


class ScoringParams(Section):
    """The embedding score of explanations."""

    embedder: Text = Field(
        description="all-MiniLM-L6-v2 (carried by a package), or a sentence-transformers name"
    )
    query_template: Text = Field(description="the query; {explanation} stands for the explanation")
    context_length: Count = Field(
        description="tokens of a scored context; an embedder reads a number of its own"
    )
    n_activating: Count = Field(description="positive contexts of a feature")
    n_negative: Count = Field(description="negative contexts of a feature")
    n_deciles: Count = Field(description="equal parts of the activations that positives are drawn from")
    negatives: Literal["random", "decoder", "embedding"] = Field(
        description="where negative contexts come from"
    )
    n_permutations: Count = Field(description="permutations of the null")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="of all intervals")
    batch_size: Count = Field(description="texts in one pass of the embedder")


class CaseStudyParams(Section):
    """The records of matched features; nothing to set."""


class TablesParams(Section):
    """The tables that people read."""

    digits: Annotated[int, Field(ge=1, le=15)] = Field(description="significant digits of a printed number")


class FiguresParams(Section):
    """The figures."""

    dpi: Annotated[int, Field(ge=30, le=1200)] = Field(description="dots per inch of the PNG files")


class ReportParams(Section):
    """The HTML report."""

    n_windows: CountFromZero = Field(description="windows shown for each criterion of each feature")


class Params(Section):
    """Every tunable of an experiment."""

    experiment: Name = Field(description="default, or the name of an overlay in experiments/")
    seed: CountFromZero = Field(description="from which every random draw is derived")
    arithmetic: Arithmetic = Field(
        description="portable: the same bytes on every x86-64 processor with AVX2; fast: the processor's own"
    )
    model: ModelParams
    saes: Annotated[dict[Name, SaeParams], Field(min_length=1)]
    pairs: Annotated[dict[Name, Annotated[tuple[Name, Name], Field(strict=False)]], Field(min_length=1)] = (
        Field(description="pairs of SAEs to compare, by name")
    )
    corpus: CorpusParams
    tokens: TokensParams
    activations: ActivationsParams
    features: FeaturesParams
    matching: MatchingParams
    windows: WindowsParams
    explanation: ExplanationParams
    scoring: ScoringParams
    case_study: CaseStudyParams
    tables: TablesParams
    figures: FiguresParams
    report: ReportParams

    def section(self, name: str) -> dict[str, Any]:
        """The JSON-able values of one section (or of `saes` or `pairs`), for hashing.

        Raises:
            KeyError: if there is no such section.
        """
        values: dict[str, Any] = self.model_dump(mode="json")
        found = values[name]
        if not isinstance(found, dict):
            raise KeyError(name)
        return found
