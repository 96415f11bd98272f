"""Explanations of features in the model's own words (Kharlapenko et al. 2024; SelfIE; Patchscopes)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from kindred.artefacts.explanation import Explanations
from kindred.errors import KindredError
from kindred.explanation.baselines import CONTINUATION_PROMPT, CONTINUATION_SCALE
from kindred.explanation.composite import best_scales, composite, is_self_explainable
from kindred.explanation.injection import Steering, unit_directions
from kindred.explanation.neutral import NeutralResidual, neutral_residuals, steering_boundary
from kindred.explanation.prompt_pass import SteeredPrompt
from kindred.explanation.row_cache import RowCache
from kindred.explanation.sweep import Curves, scale_grid, sweep
from kindred.explanation.template import PlaceholderPrompt, build_prompt
from kindred.explanation.texts import Speaker
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.params import ExplanationParams

Progress = Callable[[int, int], None]
_NEUTRAL_CONTEXTS_PER_PASS = 32


def explain(
    loaded: LoadedModel,
    directions: Tensor,
    features: Sequence[int],
    *,
    neutral_tokens: Tensor,
    neutral_special: Tensor,
    params: ExplanationParams,
    hook_point: HookPoint,
    seed: int,
    progress: Progress | None = None,
) -> Explanations:
    """Explain features by steering, and by the baselines that need the model.

    Equal arguments give equal results; neither the curves nor the texts of a feature depend on the features
    beside it or on ``batch_size``, up to floating-point noise.

    Args:
        loaded: The model.
        directions: Decoder rows of the features, [feature, d_model].
        features: Their indices in the SAE.
        neutral_tokens: Text that sets the unit of the scale, long [context, position]; padding at the end.
        neutral_special: True at BOS, EOS and padding, bool [context, position].
        params: The section `explanation`.
        hook_point: Where the SAE reads the model; continuations are steered there.
        seed: The experiment's.
        progress: Told rows done and rows in all.

    Raises:
        KindredError: If the params ask for what the model, its tokenizer or the grid does not have.
    """
    prompt = build_prompt(loaded.tokenizer, params.template)
    probe_layer = _check_layers(loaded, params)
    _check_scales(params)
    _check_length(loaded, len(prompt.token_ids) + params.max_new_tokens)
    boundary = steering_boundary(hook_point)
    neutral = neutral_residuals(
        loaded,
        neutral_tokens,
        neutral_special,
        sorted({params.inject_layer, boundary}),
        _NEUTRAL_CONTEXTS_PER_PASS,
    )
    units = unit_directions(directions, features).to(loaded.model.device)
    cache = _row_cache(loaded, len(features), len(prompt.token_ids), params)
    steering = _steering(neutral[params.inject_layer], params)
    steered = SteeredPrompt(loaded.model, prompt, steering, probe_layer, cache)
    advance = _counter(progress, 2 + len(features) * (params.n_scales + params.n_explanations))
    choice = _choose_scales(steered, units, features, params, advance)
    speaker = Speaker(loaded, cache, params, seed, np.asarray(features, dtype=np.int64), units, advance)
    texts = [
        speaker.self_explanations(steered, choice.scales, choice.chosen),
        speaker.unsteered(steered),
        speaker.continuations(boundary, neutral[boundary].mean_norm),
        speaker.lens(),
    ]
    return _record(features, choice, texts, params, _settings(params, prompt, hook_point, neutral, seed))


@dataclass(frozen=True, eq=False)
class _Choice:
    """The curves over the grid and the scales that they choose.

    Attributes:
        scales: The grid, float32 [scale].
        curves: Both curves.
        composites: By which scales are chosen, float32 [feature, scale].
        chosen: Indices into the grid, best first, int64 [feature, rank].
    """

    scales: NDArray[np.float32]
    curves: Curves
    composites: NDArray[np.float32]
    chosen: NDArray[np.int64]


def _choose_scales(
    steered: SteeredPrompt,
    units: Tensor,
    features: Sequence[int],
    params: ExplanationParams,
    advance: Callable[[int], None],
) -> _Choice:
    scales = scale_grid(params.n_scales, params.max_scale)
    curves = sweep(
        steered, units, scales, metric=params.metric, batch_size=params.batch_size, advance=advance
    )
    _check_curves(curves, scales, features)
    composites = composite(curves.self_similarity, curves.entropy, params.alpha)
    return _Choice(scales, curves, composites, best_scales(composites, params.n_explanations))


def _check_curves(curves: Curves, scales: NDArray[np.float32], features: Sequence[int]) -> None:
    """Raise where what was injected made the model's arithmetic overflow: its texts would say nothing."""
    wrong = np.argwhere(~(np.isfinite(curves.self_similarity) & np.isfinite(curves.entropy)))
    if len(wrong):
        feature, scale = wrong[0]
        raise KindredError(
            f"the model's output is not finite for feature {features[feature]} at scale {scales[scale]:g}: lower "
            "explanation.max_scale, or set model.dtype to float32"
        )


def _record(
    features: Sequence[int],
    choice: _Choice,
    texts: Sequence[pd.DataFrame],
    params: ExplanationParams,
    settings: dict[str, object],
) -> Explanations:
    similarity = choice.curves.self_similarity
    return Explanations(
        features=np.asarray(features, dtype=np.int64),
        scales=choice.scales,
        self_similarity=similarity,
        entropy=choice.curves.entropy,
        composite=choice.composites,
        best_scale=choice.scales[choice.chosen[:, 0]],
        self_explainable=is_self_explainable(similarity, params.failure_threshold),
        texts=pd.concat(texts, ignore_index=True),
        settings=settings,
    )


def _row_cache(
    loaded: LoadedModel, n_features: int, n_prompt_tokens: int, params: ExplanationParams
) -> RowCache:
    """Make the one cache of all passes; the prompt of the continuations is shorter than any other."""
    # The base row of the sweep is one more, in a batch of its own.
    n_rows = max(1, min(params.batch_size, n_features * (params.n_scales - 1)))
    return RowCache(loaded.model.config, n_rows, n_prompt_tokens + params.max_new_tokens)


def _steering(neutral: NeutralResidual, params: ExplanationParams) -> Steering:
    unit = neutral.mean_norm if params.norm == "relative" else 1.0
    return Steering(params.inject_layer, unit, params.injection, neutral.mean)


def _check_layers(loaded: LoadedModel, params: ExplanationParams) -> int:
    """Return the probed layer after a look at both layers."""
    last = loaded.n_layers - 1
    probe_layer = last if params.probe_layer is None else params.probe_layer
    for name, layer in (("inject_layer", params.inject_layer), ("probe_layer", probe_layer)):
        if layer > last:
            raise KindredError(f"explanation.{name} is {layer}, but the model has layers 0 to {last}")
    if probe_layer < params.inject_layer:
        raise KindredError(
            f"explanation.probe_layer is {probe_layer}, before inject_layer {params.inject_layer}: "
            "nothing injected would reach it; choose a later layer or null"
        )
    return probe_layer


def _check_scales(params: ExplanationParams) -> None:
    if params.n_explanations > params.n_scales - 1:
        raise KindredError(
            f"explanation.n_explanations is {params.n_explanations}, but explanation.n_scales gives only "
            f"{params.n_scales - 1} scales above 0; raise n_scales or lower n_explanations"
        )


def _check_length(loaded: LoadedModel, n_tokens: int) -> None:
    limit = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and n_tokens > limit:
        raise KindredError(
            f"the prompt and explanation.max_new_tokens make {n_tokens} tokens, but the model takes {limit}: "
            "lower max_new_tokens"
        )


def _counter(progress: Progress | None, n_rows: int) -> Callable[[int], None]:
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done, n_rows)

    return advance


def _settings(
    params: ExplanationParams,
    prompt: PlaceholderPrompt,
    hook_point: HookPoint,
    neutral: dict[int, NeutralResidual],
    seed: int,
) -> dict[str, object]:
    """What a reader needs to make sense of the numbers."""
    return {
        **params.model_dump(),
        "seed": seed,
        "prompt": prompt.text,
        "placeholder": prompt.placeholder,
        "placeholder_positions": list(prompt.positions),
        "mean_residual_norm": neutral[params.inject_layer].mean_norm,
        "continuation_prompt": CONTINUATION_PROMPT,
        "continuation_scale": CONTINUATION_SCALE,
        "continuation_mean_residual_norm": neutral[steering_boundary(hook_point)].mean_norm,
    }
