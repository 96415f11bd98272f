from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindred.artefacts.folder import MANIFEST, Made
from kindred.artefacts.writing import writing
from kindred.errors import KindredError
from kindred.sizes import readable, recorded_sizes, size_table, step_sizes, store_size, summary_line, total
from kindred.store import Store

LOCK = b"""
schema: '2.0'
stages:
  pipeline:
    cmd: snakemake
    deps:
    - path: src
      md5: a.dir
      size: 5
      nfiles: 1
    outs:
    - path: cache
      hash: md5
      md5: b.dir
      size: 1000000000
      nfiles: 120
    - path: results/figures/swap_cost.png
      md5: e
      size: 500000
    - path: results/figures/windows
      md5: c.dir
      size: 19500000
      nfiles: 9
    - path: results/metrics.json
      md5: d
      size: 900000
"""


def make(place: Path, kind: str, **contents: str) -> None:
    made = Made(kind=kind, version=1, identity="", params={}, sources="", inputs={})
    with writing(place, made) as directory:
        for name, text in contents.items():
            (directory / name).write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make(tmp_path / "cache/corpus", "corpus", documents="x" * 1000)
    make(tmp_path / "cache/activations/000", "activations", positions="x" * 20, values="x" * 30)
    make(tmp_path / "cache/activations/001", "activations", positions="x" * 5)
    make(tmp_path / "results/tables", "tables", pairs="x" * 7)
    return tmp_path


def test_every_step_counts_its_artefacts_files_and_bytes_with_their_manifests(project: Path) -> None:
    sizes = {size.name: size for size in step_sizes(project)}
    assert set(sizes) == {"corpus", "activations", "tables"}
    shards = sizes["activations"]
    manifests = sum(path.stat().st_size for path in project.glob(f"cache/activations/*/{MANIFEST}"))
    assert (shards.artefacts, shards.files, shards.n_bytes) == (2, 5, 55 + manifests)


def test_the_totals_are_what_lies_on_the_disk(project: Path) -> None:
    sizes = step_sizes(project)
    for folder in ("cache", "results"):
        files = [path for path in (project / folder).rglob("*") if path.is_file()]
        assert total(sizes, folder).files == len(files)
        assert total(sizes, folder).n_bytes == sum(path.stat().st_size for path in files)


def test_half_written_artefacts_do_not_count(project: Path) -> None:
    before = step_sizes(project)
    partial = project / "cache/activations/.002.partial-1"
    make(partial, "activations", positions="x")
    (project / "cache/windows/docs-0").mkdir(parents=True)
    assert step_sizes(project) == before


def test_a_manifest_that_cannot_be_read_is_named(project: Path) -> None:
    (project / "cache/corpus" / MANIFEST).write_text("{")
    with pytest.raises(KindredError, match=r"cache/corpus/manifest\.json"):
        step_sizes(project)


def test_an_empty_folder_has_no_sizes(tmp_path: Path) -> None:
    assert step_sizes(tmp_path) == []


def test_a_lock_gives_the_folders_that_dvc_versions() -> None:
    sizes = recorded_sizes(LOCK, "dvc.lock of default-1")
    assert [(size.name, size.files, size.n_bytes) for size in sizes] == [
        ("cache", 120, 1_000_000_000),
        ("results/figures", 10, 20_000_000),
        ("results/metrics.json", 1, 900_000),
    ]
    assert summary_line(sizes) == "cache 1.0 GB, results 21 MB"
    lines = size_table(sizes).splitlines()
    assert lines[0].split() == ["folder", "files", "size"]
    assert lines[-1].split() == ["total", "results", "11", "21", "MB"]


@pytest.mark.parametrize("lock", [b"[", b"stages: 3", b"text", b"stages: {a: {outs: [{path: cache}]}}"])
def test_what_is_no_lock_is_refused(lock: bytes) -> None:
    with pytest.raises(KindredError, match=r"dvc\.lock of default-1: not a dvc\.lock"):
        recorded_sizes(lock, "dvc.lock of default-1")


def test_the_summary_counts_the_artefacts_of_the_cache(project: Path) -> None:
    sizes = step_sizes(project)
    cache, results = (readable(total(sizes, folder).n_bytes) for folder in ("cache", "results"))
    assert summary_line(sizes) == f"cache {cache} in 3 artefacts, results {results}"


def test_the_table_is_aligned(project: Path) -> None:
    lines = size_table(step_sizes(project)).splitlines()
    assert lines[0].split() == ["step", "artefacts", "files", "size"]
    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines[1:]] == ["corpus", "activations", "tables", "total", "total"]


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_040_000_000, "1.0 GB"),
        (2 * 10**18, "2000 PB"),
    ],
)
def test_sizes_have_decimal_units(n_bytes: int, text: str) -> None:
    assert readable(n_bytes) == text


@given(st.integers(1000, 10**17))
def test_a_readable_size_is_off_by_less_than_a_rounding(n_bytes: int) -> None:
    number, unit = readable(n_bytes).split()
    value = float(number) * 1000 ** (1 + ("kB", "MB", "GB", "TB", "PB").index(unit))
    assert abs(value - n_bytes) <= 0.051 * n_bytes
    assert len(number) <= 3


def test_the_store_is_a_row_of_its_own_and_counts_in_no_total(project: Path) -> None:
    store = Store(project / ".kindred/store")
    sizes = step_sizes(project)
    assert store_size(store).n_bytes == 0
    store.put(project / "cache/activations/000", link=True)
    store.put(project / "results/tables", link=False)
    found = store_size(store)
    assert (found.artefacts, found.files, found.n_bytes) == (2, 5, 57)
    assert step_sizes(project) == sizes
    *rows, last = size_table(sizes, store=found).splitlines()
    assert last.split() == ["store", "2", "5", "57", "bytes"]
    assert rows == size_table(sizes).splitlines()
