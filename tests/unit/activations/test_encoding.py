from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from kindred.activations import encoding
from kindred.activations.encoding import encode_contexts
from kindred.artefacts import activations as artefact
from kindred.artefacts.activations import ActivationShard
from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.saes import interface
from kindred.saes.architectures import StandardSae, TopKSae
from kindred.saes.interface import Sae, SaeMetadata

D_MODEL, D_SAE, LENGTH, VOCABULARY = 16, 40, 8, 50
BOS = 0


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=D_MODEL,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.4,
    )
    llama = LlamaForCausalLM(config).eval().requires_grad_(False)
    # Encoding needs no tokenizer.
    return LoadedModel(llama, cast(Any, None), 3, D_MODEL)


def _weights(seed: int, d_sae: int = D_SAE) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (D_MODEL, d_sae), "W_dec": (d_sae, D_MODEL), "b_enc": (d_sae,), "b_dec": (D_MODEL,)}
    return {name: torch.randn(shape, generator=generator) * 0.5 for name, shape in shapes.items()}


def _standard(name: str, hook_point: HookPoint, seed: int, d_sae: int = D_SAE) -> StandardSae:
    metadata = SaeMetadata(source="test", hook_name=str(hook_point))
    return StandardSae(name, hook_point, _weights(seed, d_sae), metadata, apply_b_dec_to_input=True)


def _topk(name: str, hook_point: HookPoint, seed: int) -> TopKSae:
    metadata = SaeMetadata(source="test", hook_name=str(hook_point))
    return TopKSae(name, hook_point, _weights(seed), metadata, apply_b_dec_to_input=True, k=3)


@pytest.fixture
def saes() -> list[Sae]:
    return [
        _topk("topk", HookPoint("resid_post", 0), 1),
        _standard("same-site", HookPoint("resid_pre", 1), 2),
        _standard("deeper", HookPoint("resid_post", 1), 3),
    ]


def _contexts(n_contexts: int = 7) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Contexts of BOS, 1 to 6 tokens, and padding with an id that is also a word."""
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, VOCABULARY, size=(n_contexts, LENGTH)).astype(np.int32)
    tokens[:, 0] = BOS
    lengths = generator.integers(2, LENGTH, size=n_contexts)
    is_special = np.arange(LENGTH) >= lengths[:, None]
    is_special[:, 0] = True
    return tokens, is_special


def _encode(
    model: LoadedModel,
    saes: Sequence[Sae],
    tokens: NDArray[np.int32],
    is_special: NDArray[np.bool_],
    *,
    batch_size: int,
    first_context: int = 0,
) -> ActivationShard:
    """What the step writes to the disk and the next one reads."""
    d_sae = {sae.name: sae.d_sae for sae in saes}
    with TemporaryDirectory() as name:
        directory = Path(name)
        with artefact.writing_shard(directory, first_context, *tokens.shape, d_sae) as append:
            for batch in encode_contexts(
                model, saes, tokens, is_special, batch_size=batch_size, first_context=first_context
            ):
                append(batch)
        return artefact.load(directory)


def _dense(shard: ActivationShard, sae: str) -> NDArray[np.float32]:
    """[context, position, d_sae]."""
    activations = shard.saes[sae]
    dense = np.zeros((shard.n_contexts * shard.context_length, shard.d_sae[sae]), dtype=np.float32)
    rows = np.repeat(np.arange(len(dense)), np.diff(activations.indptr))
    dense[rows, activations.feature] = activations.value
    return dense.reshape(shard.n_contexts, shard.context_length, -1)


def test_a_shard_holds_what_each_sae_makes_of_the_hidden_states(model: LoadedModel, saes: list[Sae]) -> None:
    tokens, is_special = _contexts()
    shard = _encode(model, saes, tokens, is_special, batch_size=3)
    for sae, layer in zip(saes, (1, 1, 2), strict=True):
        dense = _dense(shard, sae.name)
        for context in range(len(tokens)):
            # The reference runs one context at a time, without any padding.
            kept = ~is_special[context]
            length = int(np.flatnonzero(kept)[-1]) + 1
            alone = torch.from_numpy(tokens[context : context + 1, :length]).long()
            hidden = model.model(alone, output_hidden_states=True).hidden_states[layer][0]
            expected = np.zeros((LENGTH, D_SAE), dtype=np.float32)
            expected[kept] = sae.encode(hidden)[torch.from_numpy(kept[:length])].numpy()
            np.testing.assert_allclose(dense[context], expected, rtol=1e-4, atol=1e-5)
        assert np.count_nonzero(dense) > 3 * len(tokens)


def test_special_positions_have_empty_rows_and_padding_is_not_attended(
    model: LoadedModel, saes: list[Sae]
) -> None:
    tokens, is_special = _contexts()
    shard = _encode(model, saes, tokens, is_special, batch_size=4)
    other_padding = np.where(is_special, (tokens + 7) % VOCABULARY, tokens)
    other_padding[:, 0] = BOS
    other = _encode(model, saes, other_padding, is_special, batch_size=4)
    for name, activations in shard.saes.items():
        assert not np.diff(activations.indptr)[is_special.reshape(-1)].any()
        np.testing.assert_array_equal(activations.value, other.saes[name].value)
        np.testing.assert_array_equal(activations.feature, other.saes[name].feature)


def test_rows_are_sorted_positive_and_typed(model: LoadedModel, saes: list[Sae]) -> None:
    shard = _encode(model, saes, *_contexts(), batch_size=4)
    for activations in shard.saes.values():
        assert (activations.value > 0).all()
        assert activations.value.dtype == np.float32
        assert activations.feature.dtype == np.uint16
        for start, stop in zip(activations.indptr[:-1], activations.indptr[1:], strict=True):
            assert (np.diff(activations.feature[start:stop].astype(int)) > 0).all()


def test_wide_saes_have_32_bit_features(model: LoadedModel) -> None:
    wide = _standard("wide", HookPoint("resid_pre", 0), 4, d_sae=(1 << 16) + 1)
    tokens, is_special = _contexts(2)
    shard = _encode(model, [wide], tokens, is_special, batch_size=2)
    assert shard.saes["wide"].feature.dtype == np.uint32
    assert int(shard.saes["wide"].feature.max()) > 60_000


def test_shards_equal_one_shard_where_batches_agree(model: LoadedModel, saes: list[Sae]) -> None:
    tokens, is_special = _contexts()
    whole = _encode(model, saes, tokens, is_special, batch_size=2)
    parts = [
        _encode(model, saes, tokens[rows], is_special[rows], batch_size=2, first_context=rows.start)
        for rows in (slice(0, 4), slice(4, 7))
    ]
    assert [(part.first_context, part.n_contexts) for part in parts] == [(0, 4), (4, 3)]
    for name in whole.saes:
        joined = np.concatenate([_dense(part, name) for part in parts])
        np.testing.assert_array_equal(joined, _dense(whole, name), strict=True)


def test_rows_are_encoded_in_bounded_chunks(
    model: LoadedModel, saes: list[Sae], monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = _contexts()
    whole = _encode(model, saes, *contexts, batch_size=4)
    monkeypatch.setattr(interface, "CHUNK_ROWS", 3)
    chunked = _encode(model, saes, *contexts, batch_size=4)
    for name in whole.saes:
        np.testing.assert_allclose(_dense(chunked, name), _dense(whole, name), rtol=1e-4, atol=1e-5)


def test_a_batch_without_padding_passes_in_runs(
    model: LoadedModel, saes: list[Sae], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, _ = _contexts()
    is_special = tokens == BOS
    whole = _encode(model, saes, tokens, is_special, batch_size=7)
    for run_tokens in (1, 2 * LENGTH):
        monkeypatch.setattr(encoding, "RUN_TOKENS", run_tokens)
        parts = _encode(model, saes, tokens, is_special, batch_size=7)
        for name in whole.saes:
            np.testing.assert_allclose(_dense(parts, name), _dense(whole, name), rtol=1e-4, atol=1e-5)


def test_batches_come_as_they_are_done(model: LoadedModel, saes: list[Sae]) -> None:
    tokens, is_special = _contexts()
    tokens[6, 1] = VOCABULARY  # no such token: the third batch cannot be encoded
    is_special[6, 1] = False
    batches = encode_contexts(model, saes, tokens, is_special, batch_size=3)
    first = next(batches)
    assert [len(first[sae.name].counts) for sae in saes] == [3 * LENGTH] * 3
    with pytest.raises(KindredError, match="token id 50"):
        list(batches)


def test_what_a_gpu_sends_in_one_piece_is_what_it_found(saes: list[Sae]) -> None:
    x = torch.randn(5, D_MODEL, generator=torch.Generator().manual_seed(0))
    rows = saes[0].encode_sparse(x)
    sent = encoding._unpack(encoding._pack(rows).numpy(), 5)
    for array, tensor in zip(sent, rows, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy(), strict=True)


@pytest.mark.parametrize("n_contexts", [0, 3])
def test_nothing_but_special_positions_gives_empty_rows(
    model: LoadedModel, saes: list[Sae], n_contexts: int
) -> None:
    tokens = np.zeros((n_contexts, LENGTH), dtype=np.int32)
    shard = _encode(model, saes, tokens, tokens == BOS, batch_size=2)
    assert all(len(activations.value) == 0 for activations in shard.saes.values())
    assert all(len(activations.indptr) == n_contexts * LENGTH + 1 for activations in shard.saes.values())


def test_a_model_that_gives_nan_is_refused_with_the_place(model: LoadedModel) -> None:
    tokens, is_special = _contexts()
    tokens[tokens == 9] = 10
    is_special[5, 1] = False
    tokens[5, 1] = 9
    embedding = model.model.get_input_embeddings().weight
    before = embedding[9].clone()
    embedding[9] = float("nan")
    sae = _topk("spoiled", HookPoint("resid_pre", 0), 1)
    try:
        with pytest.raises(KindredError, match=r"SAE spoiled: the model's output .* context 105, position 1"):
            _encode(model, [sae], tokens, is_special, batch_size=2, first_context=100)
    finally:
        embedding[9] = before


def test_infinite_activations_are_refused_with_the_place(model: LoadedModel) -> None:
    sae = _standard("large", HookPoint("resid_post", 0), 1)
    sae.weights["b_enc"][4] = float("inf")
    tokens, is_special = _contexts()
    is_special[0] = True
    is_special[1, :4] = [True, True, True, False]
    with pytest.raises(KindredError, match=r"SAE large: an activation .* context 1, position 3"):
        _encode(model, [sae], tokens, is_special, batch_size=2)


def test_nan_in_an_sae_is_refused(model: LoadedModel) -> None:
    sae = _topk("broken", HookPoint("resid_post", 0), 1)
    sae.weights["W_enc"][0, 0] = float("nan")
    with pytest.raises(KindredError, match="SAE broken: its W_enc holds NaN"):
        _encode(model, [sae], *_contexts(), batch_size=2)


class _NegativeSae(Sae):
    architecture = "linear"

    def _activate(self, encoder_input: Tensor) -> Tensor:
        return encoder_input @ self.W_enc


def test_negative_activations_are_refused(model: LoadedModel) -> None:
    point = HookPoint("resid_post", 0)
    metadata = SaeMetadata(source="test", hook_name=str(point))
    sae = _NegativeSae("linear", point, _weights(1), metadata, apply_b_dec_to_input=False)
    with pytest.raises(KindredError, match="SAE linear: an activation is not positive"):
        _encode(model, [sae], *_contexts(), batch_size=2)


def test_what_cannot_belong_together_is_refused(model: LoadedModel, saes: list[Sae]) -> None:
    tokens, is_special = _contexts()
    with pytest.raises(KindredError, match="tokens have shape"):
        _encode(model, saes, tokens, is_special[:-1], batch_size=2)
    with pytest.raises(KindredError, match="share a name: topk, topk"):
        _encode(model, [saes[0], saes[0]], tokens, is_special, batch_size=2)
    narrow = LoadedModel(model.model, model.tokenizer, 3, D_MODEL + 1)
    with pytest.raises(KindredError, match="SAE topk reads 16 dimensions, the model has 17"):
        _encode(narrow, saes, tokens, is_special, batch_size=2)


def test_contexts_that_the_model_cannot_read_are_refused(model: LoadedModel, saes: list[Sae]) -> None:
    tokens, is_special = _contexts(2)
    tokens[1, 3] = VOCABULARY
    with pytest.raises(KindredError, match="token id 50, but the model's embedding has 50 rows"):
        next(encode_contexts(model, saes, tokens, is_special, batch_size=2))
    long = np.zeros((1, 33), dtype=np.int32)
    with pytest.raises(
        KindredError, match=r"33 positions, but the model takes 32: lower tokens.context_length"
    ):
        next(encode_contexts(model, saes, long, long.astype(bool), batch_size=2))
