"""The batched explanation with its shared prefix against a loop: one feature, one scale, whole prompt, no cache."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from kindred.artefacts.explanation import METHODS, Explanations
from kindred.errors import KindredError
from kindred.explanation.self_explanation import explain
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.models.tokenizer import train_tokenizer
from kindred.params import ExplanationParams

D_MODEL = 16
FEATURES = [3, 8, 21]
FAMILIES = ("llama", "gpt2", "gpt_neox", "gemma2", "gemma3", "mistral", "qwen3", "phi")
PARAMS = ExplanationParams(
    template="meaning",
    injection="add",
    norm="relative",
    inject_layer=1,
    probe_layer=None,
    n_scales=5,
    max_scale=4.0,
    metric="entropy",
    alpha=0.4,
    failure_threshold=0.1,
    n_explanations=2,
    max_new_tokens=6,
    decoding="greedy",
    temperature=1.0,
    batch_size=256,
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(
        ["What is the meaning of the word? The meaning of the word is a number. " * 9], 300, 128
    )


@cache
def loaded(family: str) -> LoadedModel:
    torch.manual_seed(0)
    vocabulary = len(tokenizer())
    wide = {
        "vocab_size": vocabulary,
        "hidden_size": D_MODEL,
        "intermediate_size": 32,
        "initializer_range": 0.3,
    }
    deep = {
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
    }
    grouped = {"num_key_value_heads": 1, "head_dim": 8}
    model: PreTrainedModel
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**wide, **deep, **grouped))
    elif family == "gpt2":
        config = GPT2Config(
            vocab_size=vocabulary,
            n_embd=D_MODEL,
            n_layer=3,
            n_head=2,
            n_positions=128,
            tie_word_embeddings=False,
            bos_token_id=0,
            eos_token_id=1,
        )
        config.initializer_range = 0.6
        model = GPT2LMHeadModel(config)
    elif family == "gpt_neox":
        model = GPTNeoXForCausalLM(GPTNeoXConfig(**wide, **deep))
    elif family == "qwen3":
        model = Qwen3ForCausalLM(Qwen3Config(**wide, **deep, **grouped))
    elif family == "phi":
        model = PhiForCausalLM(PhiConfig(**wide, **deep))
    elif family == "mistral":
        # A window that the prompt fits into, but not what is generated after it; all layers slide.
        model = MistralForCausalLM(MistralConfig(**wide, **deep, **grouped, sliding_window=28))
    elif family == "gemma3":
        kinds = ["sliding_attention", "sliding_attention", "full_attention"]
        config = Gemma3TextConfig(
            **wide, **deep, **grouped, layer_types=kinds, sliding_window=8, query_pre_attn_scalar=8
        )
        model = Gemma3ForCausalLM(config)
    else:
        # A window shorter than the prompt, so that the cache of every other layer slides.
        model = Gemma2ForCausalLM(
            Gemma2Config(**wide, **deep, **grouped, sliding_window=8, query_pre_attn_scalar=8)
        )
    model.eval().requires_grad_(False)
    # Many ends of text, so that rows of one batch stop at different lengths.
    model.generation_config.eos_token_id = list(range(0, vocabulary, 16))
    return LoadedModel(model=model, tokenizer=tokenizer(), n_layers=3, d_model=D_MODEL)


def directions() -> Tensor:
    return torch.randn(len(FEATURES), D_MODEL, generator=torch.Generator().manual_seed(1)) * 3


def neutral_text() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(3, len(tokenizer()), (3, 12), generator=torch.Generator().manual_seed(2))
    is_special = torch.zeros_like(tokens, dtype=torch.bool)
    tokens[:, 0], is_special[:, 0] = tokenizer().bos_token_id, True
    tokens[2, 9:], is_special[2, 9:] = tokenizer().pad_token_id, True
    return tokens, is_special


def run(
    family: str = "llama", hook_point: str = "blocks.1.hook_resid_post", **changes: object
) -> Explanations:
    tokens, is_special = neutral_text()
    return explain(
        loaded(family),
        directions(),
        FEATURES,
        neutral_tokens=tokens,
        neutral_special=is_special,
        params=PARAMS.model_copy(update=changes),
        hook_point=HookPoint.parse(hook_point),
        seed=5,
    )


def decoder_blocks(model: PreTrainedModel) -> torch.nn.ModuleList:
    inner = model.base_model
    return inner.h if isinstance(model, GPT2LMHeadModel) else inner.layers


@dataclass
class NaiveLoop:
    """Everything from the definitions, by whole forward passes of one row without a cache."""

    family: str
    params: ExplanationParams

    def __post_init__(self) -> None:
        self.model = loaded(self.family).model
        parts = {
            "meaning": 'What is the meaning of the word "X"?\nThe meaning of the word "X" is "',
            "repeat": 'Repeat "X" four times exactly as it is written.\n1. "X"\n2. "X"\n3. "X"\n4. "',
        }
        self.prompt = tokenizer()(parts[self.params.template])["input_ids"]
        x = tokenizer().convert_tokens_to_ids("X")
        self.positions = [index for index, token in enumerate(self.prompt) if token == x]
        neutral = self.neutral(self.params.inject_layer)
        self.mean = neutral.mean(0)
        self.unit = neutral.norm(dim=-1).mean() if self.params.norm == "relative" else 1.0

    def neutral(self, layer: int) -> Tensor:
        tokens, is_special = neutral_text()
        states = self.model(tokens, output_hidden_states=True, use_cache=False).hidden_states[layer]
        return states[~is_special]

    def forward(self, tokens: list[int], feature: int, scale: float) -> tuple[Tensor, Tensor]:
        """Logits of the next token, and the probed residual at the last one."""
        direction = directions()[feature]
        vector = float(scale) * self.unit * direction / direction.norm()
        seen: list[Tensor] = []

        def edit(_: object, args: tuple[Tensor, ...], kwargs: dict[str, object]) -> tuple[object, object]:
            residual = args[0].clone()
            for position in self.positions:
                if self.params.injection == "add":
                    residual[0, position] += vector
                else:
                    residual[0, position] = vector + (
                        self.mean if self.params.injection == "mean_plus" else 0
                    )
            return (residual, *args[1:]), kwargs

        def read(_: object, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
            seen.append((output[0] if isinstance(output, tuple) else output)[0, -1])

        layers = decoder_blocks(self.model)
        probe = -1 if self.params.probe_layer is None else self.params.probe_layer
        hooks = [
            layers[self.params.inject_layer].register_forward_pre_hook(edit, with_kwargs=True),
            layers[probe].register_forward_hook(read),
        ]
        logits = self.model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
        for hook in hooks:
            hook.remove()
        return logits, seen[0]

    def curves(self, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        similarity, entropy = np.zeros((2, len(FEATURES), len(scales)))
        base, _ = self.forward(self.prompt, 0, 0.0)
        for feature in range(len(FEATURES)):
            for index, scale in enumerate(scales):
                logits, residual = self.forward(self.prompt, feature, scale)
                similarity[feature, index] = torch.cosine_similarity(residual, directions()[feature], dim=0)
                reference = (base if self.params.metric == "crossent" else logits).log_softmax(0)
                entropy[feature, index] = -(logits.softmax(0) * reference).sum()
        return similarity, entropy

    def text(self, feature: int, scale: float) -> str:
        tokens: list[int] = []
        stops = {*self.model.generation_config.eos_token_id, tokenizer().eos_token_id}
        while len(tokens) < self.params.max_new_tokens:
            token = int(self.forward(self.prompt + tokens, feature, scale)[0].argmax())
            if token in stops:
                break
            tokens.append(token)
            if '"' in tokenizer().decode([token]):
                break
        return tokenizer().decode(tokens, skip_special_tokens=True).split('"')[0].strip()


CASES = {
    "default": {},
    "replace at the embedding, absolute": {"injection": "replace", "norm": "absolute", "inject_layer": 0},
    "mean_plus, repeat, probe": {
        "injection": "mean_plus",
        "template": "repeat",
        "probe_layer": 1,
        "batch_size": 5,
    },
    "crossent": {"metric": "crossent", "inject_layer": 2},
}


RUNS = [(family, "default") for family in FAMILIES] + [
    ("llama", "crossent"),
    ("gpt2", "replace at the embedding, absolute"),
    ("gpt_neox", "mean_plus, repeat, probe"),
    ("gemma2", "mean_plus, repeat, probe"),
    ("gemma2", "replace at the embedding, absolute"),
]


@pytest.mark.parametrize(("family", "case"), RUNS)
def test_batched_rows_with_a_shared_prefix_equal_a_loop_without_cache(family: str, case: str) -> None:
    fast = run(family, **CASES[case])
    naive = NaiveLoop(family, PARAMS.model_copy(update=CASES[case]))
    similarity, entropy = naive.curves(fast.scales)
    np.testing.assert_allclose(fast.self_similarity, similarity, atol=1e-5)
    np.testing.assert_allclose(fast.entropy, entropy, atol=1e-5)
    spoken = fast.texts.query("method == 'self'")
    assert len(spoken) == len(FEATURES) * PARAMS.n_explanations
    for row in spoken.itertuples():
        assert row.text == naive.text(FEATURES.index(row.feature), row.scale)
    assert fast.texts.query("method == 'unsteered'").text.tolist() == [naive.text(0, 0.0)] * len(FEATURES)


def test_texts_of_one_batch_stop_at_different_lengths() -> None:
    lengths = [len(tokenizer()(text)["input_ids"]) for text in run().texts.query("method == 'self'").text]
    assert len(set(lengths)) > 2


@pytest.mark.parametrize(
    ("family", "decoding"),
    [("llama", "sample"), ("gpt2", "greedy"), ("gpt_neox", "sample"), ("gemma2", "greedy")],
)
def test_the_batch_size_changes_nothing(family: str, decoding: str) -> None:
    small = run(family, decoding=decoding, batch_size=3)
    large = run(family, decoding=decoding, batch_size=256)
    np.testing.assert_allclose(small.self_similarity, large.self_similarity, atol=1e-5)
    np.testing.assert_allclose(small.entropy, large.entropy, atol=1e-5)
    pd.testing.assert_frame_equal(small.texts, large.texts)


def test_equal_arguments_give_equal_bytes_and_the_seed_counts() -> None:
    first, second = run(decoding="sample"), run(decoding="sample")
    assert first.self_similarity.tobytes() == second.self_similarity.tobytes()
    pd.testing.assert_frame_equal(first.texts, second.texts)
    greedy = run()
    assert not first.texts.text.equals(greedy.texts.text)


@pytest.mark.parametrize(
    ("family", "site"),
    [
        ("llama", "blocks.0.hook_resid_pre"),
        ("gpt2", "blocks.2.hook_resid_post"),
        ("gpt_neox", "blocks.1.hook_resid_post"),
        ("gemma2", "blocks.2.hook_resid_post"),
    ],
)
def test_continuations_equal_a_loop_without_cache(family: str, site: str) -> None:
    fast = run(family, hook_point=site).texts.query("method == 'continuation'")
    naive = NaiveLoop(family, PARAMS)
    point = HookPoint.parse(site)
    boundary = point.layer if point.kind == "resid_pre" else point.layer + 1
    layers = decoder_blocks(naive.model)
    if boundary < 3:
        neutral = naive.neutral(boundary)
    else:
        # hidden_states ends after the final norm, so the last block's output is read from the block.
        seen: list[Tensor] = []
        hook = layers[2].register_forward_hook(
            lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)
        )
        naive.neutral(0)
        hook.remove()
        neutral = seen[0][~neutral_text()[1]]
    stops = {*naive.model.generation_config.eos_token_id, tokenizer().eos_token_id}
    for row in fast.itertuples():
        direction = directions()[FEATURES.index(row.feature)]
        vector = row.scale * neutral.norm(dim=-1).mean() * direction / direction.norm()
        if boundary < 3:
            hook = layers[boundary].register_forward_pre_hook(
                lambda _, args, v=vector: (args[0] + v, *args[1:])
            )
        else:
            hook = layers[2].register_forward_hook(
                lambda _, __, out, v=vector: (out[0] + v, *out[1:]) if isinstance(out, tuple) else out + v
            )
        tokens = tokenizer()("The")["input_ids"]
        start = len(tokens)
        while len(tokens) < start + PARAMS.max_new_tokens:
            token = int(naive.model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax())
            if token in stops:
                break
            tokens.append(token)
        hook.remove()
        assert row.text == tokenizer().decode(tokens[start:], skip_special_tokens=True).strip()


def test_a_model_in_bfloat16_gives_about_the_curves_of_float32() -> None:
    exact = run("mistral")
    half = loaded("mistral")
    half.model.bfloat16()
    try:
        rough = run("mistral")
    finally:
        loaded.cache_clear()
    assert rough.self_similarity.dtype == np.float32
    np.testing.assert_allclose(rough.entropy, exact.entropy, atol=0.2)
    np.testing.assert_allclose(rough.self_similarity, exact.self_similarity, atol=0.1)
    assert not np.array_equal(rough.entropy, exact.entropy)
    assert len(rough.texts) == len(exact.texts)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logit_lens_is_the_direction_times_the_norm_weight_through_the_unembedding(family: str) -> None:
    model = loaded(family).model
    norm = {"gpt2": "ln_f", "gpt_neox": "final_layer_norm", "phi": "final_layernorm"}.get(family, "norm")
    weight = getattr(model.base_model, norm).weight
    torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(3))
    gain = 1 + weight if family in ("gemma2", "gemma3") else weight
    rows = directions()
    if family in ("gpt2", "gpt_neox", "phi"):
        rows = rows - rows.mean(-1, keepdim=True)
    logits = (rows * gain) @ model.get_output_embeddings().weight.T
    logits[:, tokenizer().all_special_ids] = -torch.inf
    expected = []
    for best in logits.topk(60).indices.tolist():
        words = [tokenizer().decode([token]).strip() for token in best]
        readable = [word for word in words if word and "\ufffd" not in word]
        expected.append(", ".join(list(dict.fromkeys(readable))[:10]))
    try:
        assert run(family).texts.query("method == 'logit_lens'").text.tolist() == expected
    finally:
        loaded.cache_clear()


def test_the_record_is_complete() -> None:
    value = run(failure_threshold=0.3)
    assert value.features.tolist() == FEATURES
    assert value.scales.tolist() == [0, 1, 2, 3, 4]
    assert value.texts.groupby("method", sort=False).size().to_dict() == dict(
        zip(METHODS, (6, 3, 3, 3), strict=True)
    )
    best = value.composite[:, 1:].argmax(1) + 1
    assert value.best_scale.tolist() == value.scales[best].tolist()
    first = value.texts.query("method == 'self' and rank == 0")
    assert first.scale.tolist() == value.best_scale.tolist()
    reaches = (value.self_similarity[:, 1:] >= 0.3).any(1)
    assert value.self_explainable.tolist() == reaches.tolist()
    assert 0 < reaches.sum() < len(FEATURES)
    assert value.settings["placeholder"] == "X"
    assert value.settings["n_scales"] == 5


def test_a_feature_does_not_depend_on_its_neighbours() -> None:
    tokens, is_special = neutral_text()
    whole = run(decoding="sample")
    alone = explain(
        loaded("llama"),
        directions()[2:3],
        FEATURES[2:3],
        neutral_tokens=tokens,
        neutral_special=is_special,
        params=PARAMS.model_copy(update={"decoding": "sample"}),
        hook_point=HookPoint.parse("blocks.1.hook_resid_post"),
        seed=5,
    )
    mine = whole.texts.query(f"feature == {FEATURES[2]}").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.texts, mine)
    np.testing.assert_allclose(alone.self_similarity[0], whole.self_similarity[2], atol=1e-5)


def test_no_features_give_an_empty_record_and_progress_reaches_the_end() -> None:
    tokens, is_special = neutral_text()
    for features in ([], FEATURES):
        seen: list[tuple[int, int]] = []
        value = explain(
            loaded("llama"),
            directions()[: len(features)],
            features,
            neutral_tokens=tokens,
            neutral_special=is_special,
            params=PARAMS,
            hook_point=HookPoint.parse("blocks.1.hook_resid_post"),
            seed=5,
            progress=lambda done, total, seen=seen: seen.append((done, total)),
        )
        assert value.self_similarity.shape == (len(features), 5)
        assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inject_layer": 3}, "inject_layer is 3"),
        ({"probe_layer": 7}, "probe_layer is 7"),
        ({"inject_layer": 2, "probe_layer": 0}, "nothing injected"),
        ({"n_explanations": 5}, "n_explanations is 5"),
        ({"max_new_tokens": 500}, "max_new_tokens"),
        ({"max_scale": 1e38}, "not finite for feature 3 at scale .*lower explanation.max_scale"),
    ],
)
def test_params_the_model_cannot_serve_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(KindredError, match=message):
        run(**changes)
