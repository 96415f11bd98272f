"""Train the tokenizer on the documents of a corpus."""

import argparse
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from kindred.corpus.table import read_documents
from kindred.models.tokenizer import train_tokenizer


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TokenizerSettings:
    """Settings of the tokenizer."""

    vocab_size: int = 8192
    context_length: int = 256


def main(arguments: list[str] | None = None) -> None:
    """Read documents, train the tokenizer, write its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=Path, required=True, help="table of documents (parquet)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tokenizer, Hugging Face form")
    parser.add_argument("--settings", default="{}", help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(TokenizerSettings).validate_json(options.settings)
    texts = [document.text for document in read_documents(options.documents)]
    train_tokenizer(texts, settings.vocab_size, settings.context_length).save_pretrained(options.out)


if __name__ == "__main__":
    main()
