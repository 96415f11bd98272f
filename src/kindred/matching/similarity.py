"""Cosine similarity of the features of two dictionaries, in float64.

Source: mean-max cosine and decoder matching as in Sharkey et al. 2022 and FaithfulSAE (arXiv 2506.17673).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.errors import KindredError

BLOCK_ELEMENTS = 1 << 24  # of a block of cosines: 128 MiB, whatever the sizes of the dictionaries
N_NAMED_FEATURES = 10  # in an error message


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The directions of one SAE, and in how many contexts of the corpus each of its features fires.

    Attributes:
        name: Name of the SAE, for messages.
        decoder: Decoder rows, [d_sae, d_model].
        encoder: Encoder columns as rows, that is W_enc transposed, [d_sae, d_model].
        n_contexts_active: Number of contexts in which a feature fires, [d_sae].
    """

    name: str
    decoder: NDArray[np.floating]
    encoder: NDArray[np.floating]
    n_contexts_active: NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.decoder.ndim != 2 or self.encoder.shape != self.decoder.shape:
            raise KindredError(
                f"SAE {self.name!r}: the decoder is {list(self.decoder.shape)} and the transposed encoder "
                f"{list(self.encoder.shape)}; both must be [d_sae, d_model]"
            )
        if self.n_contexts_active.shape != (self.d_sae,):
            raise KindredError(
                f"SAE {self.name!r} has {self.d_sae} features, but its firing counts are of "
                f"{list(self.n_contexts_active.shape)}; rebuild the features of this SAE"
            )

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return int(self.decoder.shape[0])

    @property
    def d_model(self) -> int:
        """Width of the model's residual stream."""
        return int(self.decoder.shape[1])


def unit_rows(rows: NDArray[np.floating], *, sae: str, matrix: str) -> NDArray[np.float64]:
    """Scale each row to length one, in float64.

    Args:
        rows: Directions, [d_sae, d_model].
        sae: Name of the SAE, for the error.
        matrix: Name of the matrix (`decoder` or `encoder`), for the error.

    Raises:
        KindredError: If rows are zero or not finite, as no cosine with them is defined; it names the
            features.
    """
    directions = rows.astype(np.float64)
    largest = np.abs(directions).max(axis=1, keepdims=True, initial=0.0)
    for defect, found in (("not finite", ~np.isfinite(largest)), ("zero", largest == 0.0)):
        features = np.flatnonzero(found[:, 0])
        if features.size:
            named = ", ".join(str(feature) for feature in features[:N_NAMED_FEATURES])
            more = f" and {features.size - N_NAMED_FEATURES} more" if features.size > N_NAMED_FEATURES else ""
            raise KindredError(
                f"SAE {sae!r}: the {matrix} directions of features {named}{more} are {defect}, so no cosine "
                "with them is defined; check the SAE's weights or leave it out of the pairs"
            )
    directions /= largest  # so that squares of very small or large weights neither vanish nor overflow
    unit: NDArray[np.float64] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return unit


def cosine_blocks(
    left: NDArray[np.float64], right: NDArray[np.float64], block_elements: int = BLOCK_ELEMENTS
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the cosines of successive rows of ``left`` with all of ``right``, so no dense matrix need exist.

    Args:
        left: Unit rows, [n_left, d_model].
        right: Unit rows, [n_right, d_model].
        block_elements: About how many cosines to hold at a time.

    Yields:
        The slice of left rows and their cosines, [rows, n_right].
    """
    step = max(1, block_elements // max(1, len(right)))
    for start in range(0, len(left), step):
        rows = slice(start, min(start + step, len(left)))
        yield rows, left[rows] @ right.T


def paired_cosines(
    left: NDArray[np.float64], right: NDArray[np.float64], pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the cosine of each pair (left row, right row), [n_pairs]."""
    cosines: NDArray[np.float64] = np.einsum("pd,pd->p", left[pairs[0]], right[pairs[1]])
    return cosines


def largest_cosines(
    left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each feature's cosine with its nearest neighbour on the other side, [n_left] and [n_right].

    Neighbours may be shared: this is the matching that is not one-to-one, the cheap check of the assignment.
    """
    of_left = np.empty(len(left))
    of_right = np.full(len(right), -np.inf)
    for rows, cosines in cosine_blocks(left, right):
        of_left[rows] = cosines.max(axis=1)
        np.maximum(of_right, cosines.max(axis=0), out=of_right)
    return of_left, of_right
