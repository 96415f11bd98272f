"""Embedding scores, against one encode of the different texts and against eai-delphi's EmbeddingScorer.

The text is NumPy's documentation, as the shipped model's tokenizer cuts it; each feature fires on one token, and its
explanation is that token. The limit knows which texts there are and sorts them by tokens; against delphi, which makes
neither nulls nor windows, ours embeds the same contexts and explanations, and both are given the same instruction.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from measure import Against, Row, Settings, by_turns
from numpy.typing import NDArray
from peers.delphi_process import PYTHON, Delphi
from transformers import PreTrainedTokenizerBase

from kindred.artefacts.features import FeatureIndex
from kindred.artefacts.scoring import Scores
from kindred.artefacts.windows import Windows
from kindred.corpus.packing import PackedContexts, pack_documents
from kindred.corpus.pydocs import read_package
from kindred.models.loading import load_tokenizer
from kindred.models.tokenizer import encode_documents, special_tokens
from kindred.params import ScoringParams, load_params
from kindred.scoring.auroc import auroc
from kindred.scoring.embedding import (
    EmbeddingMemory,
    Progress,
    SentenceEmbedder,
    carried_folder,
    load_embedder,
)
from kindred.scoring.scores import score
from kindred.windows.text import PassageDecoder
from kindred.windows.top import top_windows

REPOSITORY = Path(__file__).resolve().parents[1]
MODEL = str(REPOSITORY / "models" / "docs-lm")
LEAST_OF_LIMIT, PEER_SPEED = 1 / 1.05, 1.4
N_TOP_WINDOWS = 2  # for each criterion
KINDS = ("positive", "negative")
SAME = 1e-5  # of similarities that were computed in other batches
PEER = "eai-delphi 0.1.3, EmbeddingScorer"
LIMIT = "encode of the different texts, sorted by tokens, same batch size"
# Delphi's own; in ours it is a setting.
INSTRUCTION = "Instruct: Retrieve sentences that could be related to the explanation.\nQuery:"


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the row against the limit, and that against delphi where it is installed."""
    bench = Bench.of(settings)
    ways: dict[str, Callable[[], object]] = {"score": bench.score, "limit": bench.limit}
    case = f"{len(bench.features)} features x ({bench.n_contexts} + {bench.n_contexts})"
    if not PYTHON.exists():
        seconds = by_turns(ways, settings)
        yield _row(case, "limit", f"{LIMIT} (no delphi: make bench installs it)", seconds, "score", settings)
        return
    with TemporaryDirectory() as directory:
        similarities = Path(directory, "similarities.json")
        setup = bench.delphi_setup(settings, similarities)
        with Delphi("delphi_scorer.py", setup, Path(directory, "setup.json")) as delphi:
            ways |= {"contexts": bench.contexts_alone, "peer": delphi.round}
            seconds = by_turns(ways, settings)
        _require_same(bench, json.loads(similarities.read_text()))
    yield _row(case, "limit", LIMIT, seconds, "score", settings)
    yield _row(f"{case}, contexts and explanations alone", "peer", PEER, seconds, "contexts", settings)


@dataclass(frozen=True, eq=False)
class Bench:
    """Inputs of `score`.

    Attributes:
        contexts: The corpus.
        index: Where the features fire.
        features: Those that are scored.
        n_contexts: Positives of each, and negatives.
        tokenizer: Of the shipped model.
        params: The default ones, but for the numbers of contexts and the query.
        embedder: The default one.
    """

    contexts: PackedContexts
    index: FeatureIndex
    features: list[int]
    n_contexts: int
    tokenizer: PreTrainedTokenizerBase
    params: ScoringParams
    embedder: SentenceEmbedder

    @classmethod
    def of(cls, settings: Settings) -> "Bench":
        """Read the text and choose features: tokens in evenly many documents, neither the rarest nor the commonest."""
        n_features, n_contexts, n_documents = (3, 8, 200) if settings.small else (20, 50, 1500)
        tokenizer = load_tokenizer(MODEL, revision=None)
        texts = [document.text for document in read_package("numpy")[:n_documents]]
        contexts = pack_documents(encode_documents(tokenizer, texts), 128, special_tokens(tokenizer))
        index = _index(contexts, len(tokenizer))
        by_count = np.argsort(np.diff(index.offsets), kind="stable")
        enough = by_count[np.diff(index.offsets)[by_count] > 5 * n_contexts]
        features = enough[np.linspace(0, len(enough) - 5, n_features).astype(int)]
        params = load_params(REPOSITORY / "params.yaml").scoring
        embedder = load_embedder(params.embedder, device=settings.device, batch_size=params.batch_size)
        changes = {"n_activating": n_contexts, "n_negative": n_contexts}
        params = params.model_copy(update=changes | {"query_template": INSTRUCTION + "{explanation}"})
        return cls(contexts, index, sorted(features.tolist()), n_contexts, tokenizer, params, embedder)

    @cached_property
    def explanations(self) -> pd.DataFrame:
        """The token that each feature fires on."""
        decode = PassageDecoder(self.tokenizer)
        texts = ["".join(decode([feature])) for feature in self.features]
        return pd.DataFrame({"feature": self.features, "method": "self", "rank": 0, "text": texts})

    @cached_property
    def windows(self) -> Windows:
        """Where the features fire most."""
        decode = PassageDecoder(self.tokenizer)
        return top_windows(
            self.index,
            self.features,
            self.contexts,
            length=30,
            min_length=8,
            n_top=N_TOP_WINDOWS,
            decode=decode,
        )

    def score(self, embedder: "SentenceEmbedder | Recorder | None" = None) -> Scores:
        """Score them as the step does."""
        encode = partial(self.tokenizer.encode, add_special_tokens=False)
        return score(
            self.features,
            self.explanations,
            self.index,
            self.contexts,
            self.windows,
            decode=PassageDecoder(self.tokenizer),
            count_tokens=lambda text: len(encode(text)),
            embedder=embedder or self.embedder,
            decoder_rows=np.zeros((self.index.d_sae, 1), dtype=np.float32),
            params=self.params,
            seed=0,
        )

    @cached_property
    def scored(self) -> tuple[Scores, list[str]]:
        """The scores, and the different texts that were embedded for them, from few tokens to many."""
        recorder = Recorder(self.embedder)
        scores = self.score(recorder)
        texts = sorted(set(recorder.texts))
        lengths = [len(ids) for ids in self.embedder.model.tokenizer(texts, truncation=True)["input_ids"]]
        return scores, [texts[place] for place in np.argsort(lengths, kind="stable")]

    def limit(self) -> None:
        """Encode what `score` has to encode."""
        _, texts = self.scored
        self.embedder.model.encode(
            texts, batch_size=self.embedder.batch_size, normalize_embeddings=True, show_progress_bar=False
        )

    @cached_property
    def tested(self) -> list[tuple[str, list[str], list[str]]]:
        """Of each feature: its explanation, the positives and the negatives."""
        table = self.scored[0].contexts
        return [
            (text, *(list(table[(table.feature == feature) & (table.kind == kind)].text) for kind in KINDS))
            for feature, text in zip(self.features, self.explanations.text, strict=True)
        ]

    def contexts_alone(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The cosines of each explanation with its positives and its negatives, and their AUROC."""
        embed = EmbeddingMemory(self.embedder)
        queries = [INSTRUCTION + text for text, *_ in self.tested]
        embed([*queries, *(text for _, *own in self.tested for texts in own for text in texts)])
        found = []
        for query, (_, positives, negatives) in zip(queries, self.tested, strict=True):
            of_query = embed([query])[0]
            cosines = embed(positives) @ of_query, embed(negatives) @ of_query
            auroc(cosines[0][None], cosines[1][None])
            found.append(cosines)
        return found

    def delphi_setup(self, settings: Settings, out: Path) -> dict[str, object]:
        """The same for delphi."""
        names = ("explanation", "positives", "negatives")
        return {
            "threads": settings.threads,
            "device": settings.device,
            "embedder": str(carried_folder(self.params.embedder)),
            "features": [dict(zip(names, own, strict=True)) for own in self.tested],
            "out": str(out),
        }


class Recorder:
    """An embedder that remembers what it was asked for."""

    def __init__(self, embedder: SentenceEmbedder) -> None:
        self._embedder = embedder
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Embed them."""
        self.texts += texts
        return self._embedder(texts, progress)

    @property
    def limit(self) -> int | None:
        """Tokens that are read of a text."""
        return self._embedder.limit

    def n_cut(self, texts: Sequence[str]) -> int:
        """Return how many texts are longer."""
        return self._embedder.n_cut(texts)


def _index(contexts: PackedContexts, n_vocabulary: int) -> FeatureIndex:
    """One feature for each token, which fires where it stands, more strongly in some places than in others."""
    place = np.flatnonzero(~contexts.is_special.ravel())
    token = contexts.tokens.ravel()[place]
    order = np.argsort(token, kind="stable")
    strength = np.random.default_rng(0).gamma(2.0, size=len(order)).astype(np.float32) + np.float32(0.01)
    n_contexts, context_length = contexts.tokens.shape
    return FeatureIndex(
        n_vocabulary,
        n_contexts,
        context_length,
        len(place),
        np.searchsorted(token[order], np.arange(n_vocabulary + 1)).astype(np.int64),
        place[order].astype(np.uint32),
        strength,
    )


def _row(
    case: str, against: Against, reference: str, seconds: dict[str, float], ours: str, settings: Settings
) -> Row:
    target = LEAST_OF_LIMIT if against == "limit" else PEER_SPEED
    return Row("scoring", case, against, reference, seconds[ours], seconds[against], settings.rounds, target)


def _require_same(bench: Bench, similarities: list[dict[str, float]]) -> None:
    """Fail if delphi found other similarities between the same texts."""
    for own, theirs, cosines in zip(bench.tested, similarities, bench.contexts_alone(), strict=True):
        _, *texts = own
        for of_kind, ours in zip(texts, cosines, strict=True):
            difference = np.abs(ours - [theirs[text] for text in of_kind]).max(initial=0)
            if difference > SAME:
                raise RuntimeError(f"delphi's similarities differ by {difference:.1e}")
