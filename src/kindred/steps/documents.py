"""Read the documentation of installed packages into a table of documents."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from kindred.corpus.document import documents_sha256
from kindred.corpus.pydocs import (
    DEFAULT_PACKAGES,
    PackageRecord,
    check_records,
    package_records,
    read_packages,
)
from kindred.corpus.table import write_documents


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DocumentsSettings:
    """Settings of the documentation corpus."""

    packages: tuple[str, ...] = DEFAULT_PACKAGES


def main(arguments: list[str] | None = None) -> None:
    """Read the packages' documentation, write the table and the record of its hashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="table of documents (parquet)")
    parser.add_argument("--record", type=Path, required=True, help="versions and hashes per package (JSON)")
    parser.add_argument("--expected", type=Path, help="an earlier record, which the corpus must equal")
    parser.add_argument("--settings", default="{}", help="settings as JSON")
    options = parser.parse_args(arguments)
    settings = TypeAdapter(DocumentsSettings).validate_json(options.settings)
    documents = read_packages(settings.packages)
    records = package_records(documents, settings.packages)
    if options.expected is not None:
        expected = json.loads(options.expected.read_text())["packages"]
        check_records(records, {package: PackageRecord(**entry) for package, entry in expected.items()})
    write_documents(options.out, documents)
    record = {
        "sha256": documents_sha256(documents),
        "packages": {package: asdict(entry) for package, entry in records.items()},
    }
    options.record.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
