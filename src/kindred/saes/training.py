"""Training of TopK SAEs on cached activations, by SAELens's own trainer (Gao et al. 2024, 2406.04093)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.sae import SAEMetadata
from torch import Tensor

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SaeRecipe:
    """How one SAE is trained.

    Attributes:
        d_sae: Number of features.
        k: Features that fire at one token.
        n_samples: Activations seen; beyond the cached ones they are seen again in a new order.
        batch_size: Activations in one step.
        learning_rate: Of Adam, after `warmup_share` and before the decay to zero over the last `decay_share`.
        warmup_share: Share of the steps.
        decay_share: Share of the steps.
        seed: Of the initial weights and of the order of the activations.
    """

    d_sae: int
    k: int
    n_samples: int
    batch_size: int
    learning_rate: float
    warmup_share: float
    decay_share: float
    seed: int


def train_topk_sae(
    activations: NDArray[np.floating[Any]],
    recipe: SaeRecipe,
    metadata: dict[str, Any],
    progress: Progress,
) -> TopKTrainingSAE:
    """Train on activations [n, d_model]; the result has decoder rows of norm one and reads unscaled activations.

    Args:
        activations: Cached activations, memory-mapped or not.
        recipe: How to train.
        metadata: What SAELens writes into cfg.json beside the weights (model_name, hook_name, context_size, ...).
        progress: Called with the number of samples seen and the total.
    """
    n_steps = recipe.n_samples // recipe.batch_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=activations.shape[1],
                d_sae=recipe.d_sae,
                k=recipe.k,
                dtype="float32",
                device="cpu",
                normalize_activations="expected_average_only_in",
                metadata=SAEMetadata(**metadata),
            )
        )
        trainer = SAETrainer(
            cfg=SAETrainerConfig(
                total_training_samples=n_steps * recipe.batch_size,
                train_batch_size_samples=recipe.batch_size,
                lr=recipe.learning_rate,
                lr_end=0.0,
                lr_warm_up_steps=round(n_steps * recipe.warmup_share),
                lr_decay_steps=round(n_steps * recipe.decay_share),
                dead_feature_window=min(1000, max(1, n_steps // 4)),
                n_batches_for_norm_estimate=min(100, n_steps),
            ),
            sae=sae,
            data_provider=batches(activations, recipe, progress),
        )
        trainer.fit()
    # As SAELens does before it folds a whitening: with the norms in the weights, the rescaling is the identity.
    sae.fold_W_dec_norm()
    sae.cfg.rescale_acts_by_decoder_norm = False
    return sae


def batches(
    activations: NDArray[np.floating[Any]], recipe: SaeRecipe, progress: Progress
) -> Iterator[Tensor]:
    """Yield float32 batches [batch_size, d_model] in a seeded order, each activation once per pass."""
    generator = np.random.default_rng(recipe.seed)
    seen = 0
    while True:
        order = generator.permutation(len(activations))
        for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
            rows = np.sort(order[start : start + recipe.batch_size])
            seen += recipe.batch_size
            progress(min(seen, recipe.n_samples), recipe.n_samples)
            yield torch.from_numpy(activations[rows].astype(np.float32))
