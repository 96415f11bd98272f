"""Cosine similarity of the features of two dictionaries, in float64.

Source: mean-max cosine and decoder matching as in Sharkey et al. 2022 and FaithfulSAE (arXiv 2506.17673).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.errors import KindredError

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
