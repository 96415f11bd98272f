"""Train the small language model on a corpus; an interrupted training goes on where it stood."""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from kindred.corpus.definitions import definition_frames
from kindred.corpus.document import Document
from kindred.corpus.packing import PackedContexts, pack_documents
from kindred.corpus.table import read_documents
from kindred.models.card import language_model_card
from kindred.models.checkpoint import checkpoint_writer, read_checkpoint
from kindred.models.language_model import ArchitectureSettings, build_language_model
from kindred.models.tokenizer import encode_documents, special_tokens
from kindred.models.training import (
    Progress,
    TrainingData,
    TrainingSettings,
    split_documents,
    train_language_model,
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LanguageModelSettings:
    """Settings of the language model and of its training."""

    architecture: ArchitectureSettings = Field(default_factory=ArchitectureSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)


def main(arguments: list[str] | None = None) -> None:
    """Read documents and tokenizer, train, write the model's folder and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, help="table of documents (parquet)")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file of the training in progress")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model, Hugging Face form")
    parser.add_argument("--settings", default="{}", help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(LanguageModelSettings).validate_json(options.settings)
    torch.set_num_threads(settings.training.threads)
    torch.use_deterministic_algorithms(True)

    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    data = prepare_data(read_documents(options.documents), tokenizer, settings)
    model = build_language_model(
        settings.architecture, len(tokenizer), special_tokens(tokenizer), settings.training.seed
    )
    # Measured on one core with torch.compile: plain attention trains a sixth faster than the fused kernel.
    model.set_attn_implementation("eager")
    recipe = recipe_hash(data, settings)
    train_language_model(
        model,
        data,
        settings.training,
        state=read_checkpoint(options.checkpoint, recipe),
        save=checkpoint_writer(options.checkpoint, recipe),
        report=progress_printer(),
    )
    model.to(torch.bfloat16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    # The card describes the rounded weights, which are those that are shipped.
    card = language_model_card(model.float(), tokenizer, data, settings.training)
    (options.out / "card.json").write_text(json.dumps(asdict(card), indent=2) + "\n")


def prepare_data(
    documents: list[Document], tokenizer: PreTrainedTokenizerFast, settings: LanguageModelSettings
) -> TrainingData:
    """Split the documents, make definition frames of the training part, and pack all three into contexts."""
    training, validation = split_documents(
        documents, settings.training.validation_share, settings.training.seed
    )
    special = special_tokens(tokenizer)
    length = settings.architecture.context_length
    frames = definition_frames(training) if settings.training.definition_share > 0 else []

    def packed(texts: list[str]) -> PackedContexts:
        return pack_documents(encode_documents(tokenizer, texts), length, special, pack=True)

    return TrainingData(
        documents=packed([document.text for document in training]),
        definitions=packed(frames) if frames else None,
        validation=packed([document.text for document in validation]),
    )


def recipe_hash(data: TrainingData, settings: LanguageModelSettings) -> str:
    """Hash what a training hangs on, so that a checkpoint is never continued under another recipe."""
    digest = hashlib.sha256(TypeAdapter(LanguageModelSettings).dump_json(settings))
    for contexts in (data.documents, data.definitions, data.validation):
        digest.update(b"" if contexts is None else contexts.tokens.tobytes())
    return digest.hexdigest()


def progress_printer(every: int = 20) -> Callable[[Progress], None]:
    """Return a function that prints a line every few steps, with the rate since the line before and the time left."""
    last_tokens, last_time = 0, time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last_tokens, last_time
        validation = progress.validation_loss_nats
        if progress.step % every and validation is None:
            return
        now = time.monotonic()
        rate = (progress.tokens - last_tokens) / (now - last_time) if last_tokens else 0.0
        total = progress.tokens // progress.step * progress.n_steps
        line = (
            f"step {progress.step}/{progress.n_steps} tokens {progress.tokens} loss {progress.loss_nats:.4f}"
        )
        if validation is not None:
            line += f" validation {validation:.4f}"
        if rate:
            line += f" tokens/s {rate:.0f} minutes left {(total - progress.tokens) / rate / 60:.1f}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        last_tokens, last_time = progress.tokens, now

    return report


if __name__ == "__main__":
    main()
