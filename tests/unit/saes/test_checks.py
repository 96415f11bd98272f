import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, LlamaConfig, PreTrainedTokenizerFast

from kindred.errors import KindredError
from kindred.models.hooks import HookPoint
from kindred.models.loading import LoadedModel
from kindred.params import TokensParams
from kindred.saes.architectures import StandardSae
from kindred.saes.checks import check_sae_against_model
from kindred.saes.interface import SaeMetadata

SHAPE = {
    "vocab_size": 20,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
CONFIGS = {
    "llama": LlamaConfig(**SHAPE),
    "gemma2": Gemma2Config(**SHAPE, head_dim=8),
    "gpt2": GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1),
}
TOKENS = TokensParams(n_tokens=100, context_length=32, pack=False)


def load(name, *, bos="<bos>"):
    tokenizer = Tokenizer(models.WordLevel({"<bos>": 0, "<unk>": 1}, unk_token="<unk>"))
    return LoadedModel(
        AutoModelForCausalLM.from_config(CONFIGS[name]),
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, unk_token="<unk>"),
        n_layers=2,
        d_model=16,
    )


def build(hook_name="blocks.1.hook_resid_pre", *, d_model=16, **metadata):
    weights = {
        "W_enc": torch.ones(d_model, 8),
        "W_dec": torch.ones(8, d_model),
        "b_enc": torch.zeros(8),
        "b_dec": torch.zeros(d_model),
    }
    place, known = HookPoint.parse(hook_name), SaeMetadata("a/folder", hook_name, **metadata)
    return StandardSae("mine", place, weights, known, apply_b_dec_to_input=True)


def warnings_of(sae, loaded):
    return check_sae_against_model(sae, loaded, TOKENS)


@pytest.mark.parametrize(("matrix", "dim"), [("W_dec", 0), ("W_enc", 1)])
def test_a_feature_without_a_direction_is_refused_before_the_corpus_is_read(matrix, dim):
    sae = build()
    sae.weights[matrix].select(dim, 3)[:] = 0
    sae.weights[matrix].select(dim, 0)[1:] = 0  # one number is direction enough
    kind = "decoder" if matrix == "W_dec" else "encoder"
    with pytest.raises(
        KindredError, match=rf"SAE mine \(a/folder\): the {kind} directions of features 3 are zero"
    ):
        warnings_of(sae, load("llama"))
    sae.weights[matrix][:] = 0
    with pytest.raises(KindredError, match=r"features 0, 1, 2, 3, 4 and 3 more are zero"):
        warnings_of(sae, load("llama"))


def test_an_sae_that_fits():
    assert warnings_of(build(prepend_bos=True, context_size=32), load("llama")) == []
    assert warnings_of(build(), load("llama")) == []


def test_another_width():
    with pytest.raises(
        KindredError, match=r"SAE mine \(a/folder\) reads .* width 24, but the model's are 16 wide"
    ):
        warnings_of(build(d_model=24), load("llama"))


def test_a_layer_beyond_the_depth():
    with pytest.raises(KindredError, match=r"blocks\.7\.hook_mlp_out: the model has 2 blocks"):
        warnings_of(build("blocks.7.hook_mlp_out"), load("llama"))


def test_shorter_contexts():
    (warning,) = warnings_of(build(context_size=16), load("llama"))
    assert "contexts of 16 tokens" in warning
    assert "tokens.context_length) are 32" in warning


def test_bos():
    (warning,) = warnings_of(build(prepend_bos=False), load("llama"))
    assert "trained on contexts without BOS" in warning
    (warning,) = warnings_of(build(prepend_bos=True), load("llama", bos=None))
    assert "the tokenizer has none" in warning


def test_centring():
    (warning,) = warnings_of(build(center_residual=True), load("gpt2"))
    assert "the mean over d_model is subtracted" in warning
    with pytest.raises(KindredError, match="without LayerNorm"):
        warnings_of(build(center_residual=True), load("llama"))


def test_a_module_before_its_post_norm():
    with pytest.raises(KindredError, match=r"reads the module layers\.1\.mlp, but this model norms"):
        warnings_of(build("layers.1.mlp"), load("gemma2"))
    assert warnings_of(build("blocks.1.hook_mlp_out"), load("gemma2")) == []
    assert warnings_of(build("layers.1"), load("gemma2")) == []
    assert warnings_of(build("layers.1.mlp"), load("llama")) == []


def test_what_loading_decided_is_said():
    (warning,) = warnings_of(build(notes=("something was folded",)), load("llama"))
    assert warning == "SAE mine (a/folder): something was folded"
