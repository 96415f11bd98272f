"""Put the table of results.json into docs/performance.md: `python benchmarks/page.py`."""

import json
from collections.abc import Sequence

from measure import Row
from run import COLUMNS, FOLDER, MODULES, cells, table_line

PAGE = FOLDER.parent / "docs" / "performance.md"
BEGIN, END = "<!-- from benchmarks/results.json by benchmarks/page.py -->", "<!-- end -->"


def between(page: str, begin: str, end: str, lines: Sequence[str]) -> str:
    """Return the page with other lines between two marks."""
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{rest.partition(end)[2]}"


def with_table(page: str, document: dict) -> str:
    """Return the page with its table made anew."""
    fields = set(Row.__dataclass_fields__)
    found = [row for module in MODULES for row in document["rows"][module]]
    rows = [Row(**{name: value for name, value in row.items() if name in fields}) for row in found]
    lines = [
        f"{document['device']}; {document['threads']} threads on both sides; torch {document['torch']}.",
        "",
        table_line(COLUMNS),
        table_line(["---"] * len(COLUMNS)),
        *(table_line(cells(row)) for row in rows),
    ]
    return between(page, BEGIN, END, lines)


def main() -> None:
    """Rewrite the page."""
    document = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), document), encoding="utf-8")


if __name__ == "__main__":
    main()
