"""Time of the embedder against its limit, all in one run: texts of equal length, which waste no token.

Run as `python benchmarks/scoring.py`. Three ways embed the same texts, drawn with repetitions from the installed
documentation of NumPy: ours (each text once, batches of like length), naive (as they come), and the library's own
(`encode`, sorted by characters). The limit is what the bare model needs for the tokens of the different texts in
rectangular batches, tokenization left out. Times are of the process, so that other jobs do not count.
"""

import argparse
import inspect
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from kindred.scoring.embedding import embed, load_embedder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", default="all-MiniLM-L6-v2")
    parser.add_argument("--n-texts", type=int, default=400, help="different texts")
    parser.add_argument("--repeated", type=float, default=1.3, help="texts asked for, per different one")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _texts(n_texts: int, repeated: float) -> list[str]:
    """Passages of about 130 characters, the length of 32 tokens, some of them more than once, in random order."""
    documented = [inspect.getdoc(getattr(np, name)) or "" for name in sorted(np.__all__)]
    words = " ".join(documented).split()
    generator = np.random.default_rng(0)
    starts = generator.choice(len(words) - 40, n_texts, replace=False)
    texts = [" ".join(words[start : start + generator.integers(10, 31)]) for start in starts]
    asked = np.concatenate(
        [np.arange(n_texts), generator.integers(0, n_texts, int(n_texts * (repeated - 1)))]
    )
    return [texts[place] for place in generator.permutation(asked)]


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """The least time of several rounds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> None:
    """Print the time of each way and its ratio to the limit."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    model = load_embedder(arguments.embedder, device="cpu", batch_size=arguments.batch_size).model
    texts = _texts(arguments.n_texts, arguments.repeated)
    unique = list(dict.fromkeys(texts))
    size = arguments.batch_size
    lengths = [len(ids) for ids in model.tokenizer(unique, truncation=True)["input_ids"]]
    n_columns = round(sum(lengths) / len(unique))
    rectangle = torch.randint(1000, 20000, (size, n_columns))
    batch = {"input_ids": rectangle, "attention_mask": torch.ones_like(rectangle)}
    n_batches = sum(lengths) / rectangle.numel()

    def limit() -> None:
        with torch.inference_mode():
            for _ in range(round(n_batches)):
                model(dict(batch))

    def naive() -> None:
        for start in range(0, len(texts), size):
            one_by_one(texts[start : start + size])

    def one_by_one(some: Sequence[str]) -> None:
        with torch.inference_mode():
            model(model.preprocess(list(some)))

    ways: dict[str, Callable[[], object]] = {
        "limit": limit,
        "ours": lambda: embed(model, texts, batch_size=size),
        "library": lambda: model.encode(texts, batch_size=size, normalize_embeddings=True),
        "naive": naive,
    }
    limit()
    times = {name: _seconds(way, arguments.rounds) for name, way in ways.items()}
    times["limit"] *= n_batches / round(n_batches)
    print(f"{len(texts)} texts, {len(unique)} different, {n_columns} tokens on average, batches of {size}")
    for name, seconds in times.items():
        rate = len(unique) / seconds
        print(
            f"{name:8} {seconds:7.2f} s  {rate:6.0f} different texts/s  {seconds / times['limit']:5.2f} x limit"
        )


if __name__ == "__main__":
    main()
