"""The documentation of the keys is complete, and params.yaml holds exactly the schema's keys."""

from pathlib import Path

import yaml

from kindred.params import describe, load_params
from kindred.params.describe import keys


def test_params_yaml_holds_exactly_the_keys_of_the_schema(repository: Path) -> None:
    values = yaml.safe_load((repository / "params.yaml").read_text())
    in_file = [
        (section, key)
        for section, value in values.items()
        if section not in {"saes", "pairs"}
        for key in (value if isinstance(value, dict) else [""])
    ]
    in_schema = [(*key, "")[:2] for key, _ in keys() if key[0] not in {"saes", "pairs"}]
    assert in_file == in_schema
    assert {"saes", "pairs", "case_study"} <= set(values)


def test_every_key_is_described() -> None:
    for key, node in keys():
        assert node.get("description"), key


def test_the_table_has_one_row_per_key_and_shows_defaults(repository: Path) -> None:
    table = describe(load_params(repository / "params.yaml"))
    rows = table.splitlines()
    assert len(rows) == 2 + len(list(keys()))
    assert all(row.count(" | ") == 3 for row in rows)
    assert "| `windows.length` | an integer >= 1 | `30` | tokens of a window |" in rows
    assert '| `model.device` | cpu, mps, cuda, cuda:N | `"cpu"` | where the model runs |' in rows
    assert describe().splitlines()[0] == "| key | allowed | meaning |"
