"""Self-explanation at every scale of every feature: against a loop that calls `generate`, and the barest batch.

`python benchmarks/run.py --only explanation`. Every way makes the same number of tokens: nothing stops a text.
Ours takes the entropy from the pass that begins the text, as the loop does; the pipeline's step measures the whole
grid first and runs the prompt again at the scales that it chose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Row, Settings, by_turns
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from kindred.explanation.generation import Decoding, generate_tokens
from kindred.explanation.injection import Steering
from kindred.explanation.prompt_pass import SteeredPrompt, row_batches
from kindred.explanation.row_cache import RowCache
from kindred.explanation.sweep import entropy_nats, scale_grid
from kindred.explanation.template import PlaceholderPrompt, build_prompt
from kindred.models.hooks import blocks
from kindred.models.loading import LoadedModel, load_model
from kindred.models.tokenizer import train_tokenizer

STEP = "self-explanation"
LOOP_SPEED = 20.0
MAX_SCALE = 8.0
SHIPPED = Path(__file__).parents[1] / "models" / "docs-lm"
# What the numbers of one row and of many may differ by: the order in which products are added up.
ENTROPY_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.1}
LOGIT_TIE = 1e-4  # float32: of two tokens so near to each other either is the likeliest


@dataclass(frozen=True)
class Size:
    """How much is generated, how many rows at once, and by what."""

    model: str
    features: int
    scales: int
    tokens: int
    batch_size: int

    @property
    def case(self) -> str:
        """The size as the table names it."""
        size = f"{self.features} features x {self.scales} scales x {self.tokens} tokens"
        return f"{self.model}, {size}, batch {self.batch_size}"


def rows(settings: Settings) -> Iterator[Row]:
    """Yield the rows against the limit, against one call of `generate` for all rows, and against the loop."""
    loaded = _model(settings)
    size, loop_size = _sizes(settings)
    task = Task(loaded, size)
    seconds = by_turns({"ours": task.ours, "limit": task.limit}, settings)
    note = "one model call per token on rows that share a prefix, arg max; no injection, ends or entropies"
    ours, limit = seconds["ours"], seconds["limit"]
    yield Row(STEP, size.case, "limit", "bare batched loop", ours, limit, settings.rounds, None, note)
    seconds = by_turns({"ours": task.ours, "its": task.one_call}, settings, rounds=1)
    note = "no injection, all rows at once; another task, for comparison"
    yield Row(STEP, size.case, "limit", "one `generate`", seconds["ours"], seconds["its"], 1, None, note)
    task = Task(loaded, loop_size)
    seconds = by_turns({"ours": task.ours, "loop": task.loop}, settings, rounds=1, warm=False)
    note = task.check_equal()
    yield Row(
        STEP,
        loop_size.case,
        "peer",
        "loop of `generate`",
        seconds["ours"],
        seconds["loop"],
        1,
        None if settings.small else LOOP_SPEED,
        note,
    )


class Task:
    """One size, and the ways to do it; what the batched way and the loop made is kept and compared."""

    def __init__(self, loaded: LoadedModel, size: Size) -> None:
        self._loaded = loaded
        self._size = size
        self._prompt: PlaceholderPrompt = build_prompt(loaded.tokenizer, "meaning")
        device = loaded.model.device
        directions = torch.randn(
            size.features, loaded.d_model, generator=torch.Generator().manual_seed(0)
        ).to(device)
        self._directions = directions / directions.norm(dim=-1, keepdim=True)
        self._scales = torch.from_numpy(scale_grid(size.scales, MAX_SCALE)).to(device)
        self._steering = Steering(
            boundary=0, unit=1.0, kind="add", mean=torch.zeros(loaded.d_model, device=device)
        )
        n_rows = size.features * size.scales
        self._feature, self._scale = np.divmod(np.arange(n_rows), size.scales)
        self._tokens: dict[str, list[list[int]]] = {}
        self._entropy: dict[str, NDArray[np.float32]] = {}

    def ours(self) -> None:
        """Generate and take the first token's entropy in batches."""
        steered = self._steered()
        decoding = Decoding(self._size.tokens, None, frozenset(), None)
        tokens: list[list[int]] = []
        entropies: list[Tensor] = []
        for batch in row_batches(len(self._feature), self._size.batch_size):
            state = steered.run(
                self._directions[torch.from_numpy(self._feature[batch])],
                self._scales[torch.from_numpy(self._scale[batch])],
            )
            entropies.append(entropy_nats(state.logits))
            tokens += generate_tokens(
                self._loaded.model, self._loaded.tokenizer, state.cache, state.logits, decoding
            )
        self._tokens["ours"], self._entropy["ours"] = tokens, torch.cat(entropies).cpu().numpy()

    @torch.no_grad()
    def limit(self) -> None:
        """Call the model once for the prompt after the first placeholder and once for each further token."""
        model = self._loaded.model
        prompt = torch.tensor([self._prompt.token_ids], device=model.device)
        shared = DynamicCache(config=model.config)
        model(prompt[:, : self._prompt.n_shared], past_key_values=shared, use_cache=True, logits_to_keep=1)
        cache = self._cache()
        for batch in row_batches(len(self._feature), self._size.batch_size):
            n_rows = batch.stop - batch.start
            cache.begin(n_rows, shared)
            tokens = prompt[:, self._prompt.n_shared :].expand(n_rows, -1)
            for _ in range(self._size.tokens):
                output = model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
                logits = output.logits[:, -1]
                # The arg max of NumPy is the faster one on a CPU.
                best = (
                    torch.from_numpy(logits.float().numpy().argmax(-1))
                    if logits.is_cpu
                    else logits.argmax(-1)
                )
                tokens = best[:, None]
            best.cpu()

    def one_call(self) -> None:
        """Let the library's own `generate` continue all rows at once, without any injection."""
        self._generate(len(self._feature), logits=False)

    def loop(self) -> None:
        """Answer one feature at one scale at a time."""
        tokens: list[list[int]] = []
        entropies: list[Tensor] = []
        for row in range(len(self._feature)):
            output = self._answer(row)
            tokens.append(output.sequences[0, len(self._prompt.token_ids) :].tolist())
            entropies.append(entropy_nats(output.logits[0].float()))
        self._tokens["loop"], self._entropy["loop"] = tokens, torch.cat(entropies).cpu().numpy()

    def check_equal(self) -> str:
        """Return what was found equal; raise if a difference is no matter of rounding."""
        dtype = self._loaded.model.dtype
        worst = float(np.abs(self._entropy["ours"] - self._entropy["loop"]).max())
        if worst > ENTROPY_TOLERANCE[dtype]:
            raise RuntimeError(f"the entropies of the loop differ by {worst} nats")
        ours, loop = np.array(self._tokens["ours"]), np.array(self._tokens["loop"])
        differing = np.flatnonzero((ours != loop).any(axis=1))
        for row in differing if dtype == torch.float32 else ():
            first = int(np.flatnonzero(ours[row] != loop[row])[0])
            best = self._answer(row).logits[first][0].topk(2).values
            if best[0] - best[1] > LOGIT_TIE:
                raise RuntimeError(f"row {row} differs at token {first}, which is no tie")
        equal = f"{len(ours) - len(differing)} of {len(ours)} rows equal token by token"
        return f"{equal}, entropies within {worst:.0e} nats"

    @torch.no_grad()
    def _answer(self, row: int) -> Any:
        """Return what the library's `generate` makes of one feature at one scale."""
        direction, scale = self._directions[self._feature[row]], self._scales[self._scale[row]]
        vector = self._steering.vectors(direction[None], scale[None])[0]
        hook = blocks(self._loaded.model)[0].register_forward_pre_hook(_added(vector, self._prompt.positions))
        output = self._generate(1, logits=True)
        hook.remove()
        return output

    def _generate(self, n_rows: int, *, logits: bool) -> Any:
        tokens = torch.tensor([self._prompt.token_ids], device=self._loaded.model.device).expand(n_rows, -1)
        return self._loaded.model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=self._size.tokens,
            do_sample=False,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_logits=logits,
        )

    def _steered(self) -> SteeredPrompt:
        last = self._loaded.n_layers - 1
        return SteeredPrompt(self._loaded.model, self._prompt, self._steering, last, self._cache())

    def _cache(self) -> RowCache:
        n_rows = min(self._size.batch_size, len(self._feature))
        return RowCache(self._loaded.model.config, n_rows, len(self._prompt.token_ids) + self._size.tokens)


def _added(vector: Tensor, positions: tuple[int, ...]) -> Callable[..., Any]:
    """Return the hook that a user would write: add a vector at the placeholders of the prompt."""

    def add(_block: object, args: tuple[Any, ...]) -> Any:
        if args[0].shape[1] == 1:  # a generated token
            return args
        residual = args[0].clone()
        residual[:, list(positions)] += vector.to(residual.dtype)
        return (residual, *args[1:])

    return add


def _sizes(settings: Settings) -> tuple[Size, Size]:
    """Return the sizes against the limit and against the loop, which takes minutes."""
    if settings.small:
        size = Size("tiny Llama", 2, 4, 5, 3)
        return size, size
    if settings.device == "cuda":
        name = "Llama-3.2-1B shape, bf16"
        return Size(name, 10, 64, 32, 640), Size(name, 2, 64, 32, 640)
    size = Size("docs-lm (d 256, 6 layers)", 10, 64, 32, 256)
    return size, size


def _model(settings: Settings) -> LoadedModel:
    if settings.device == "cpu" and not settings.small:
        loaded = load_model(str(SHIPPED), revision=None, dtype=torch.float32, device="cpu")
    else:
        loaded = _random_model(settings)
    # So that `generate` goes on to the full length, and may say the end of a text on its way.
    loaded.model.generation_config.eos_token_id = None
    return loaded


def _random_model(settings: Settings) -> LoadedModel:
    """Return an untrained model: of the shape of Llama-3.2-1B, or tiny."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["What is the meaning of the word? " * 10], 300, 256)
    shape = {
        "vocab_size": 128256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    }
    tiny = {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = LlamaConfig(**(tiny if settings.small else shape), max_position_embeddings=256)
    dtype = torch.float32 if settings.device == "cpu" else torch.bfloat16
    model = LlamaForCausalLM(config).to(device=settings.device, dtype=dtype).eval().requires_grad_(False)
    return LoadedModel(model, tokenizer, config.num_hidden_layers, config.hidden_size)
