import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kindred import lineage as lineage_module
from kindred.artefacts.folder import MANIFEST, read_manifest
from kindred.artefacts.writing import writing
from kindred.lineage import Lineage
from kindred.params import Params, load_params
from kindred.returning import bring_back, bring_one_back, would_come_back
from kindred.store import STORE, Store

ROOT = Path(__file__).parents[2]
PLACES = ("cache/corpus", "cache/tokens", "cache/windows/docs-0")


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The small experiment, in an empty folder, as if its sources were all of one hash."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lineage_module, "sources_hash", lambda module: "sources")
    return load_params(ROOT / "params.yaml", experiment="small", experiments=ROOT / "experiments")


def changed(params: Params, section: str, **values: object) -> Params:
    data = json.loads(params.model_dump_json())
    data[section] |= values
    return Params.model_validate_json(json.dumps(data))


def make(params: Params, *places: str, text: str = "", store: Store | None = None) -> None:
    """Write artefacts as their steps would; the content tells the settings."""
    for place in places or PLACES:
        lineage = Lineage(params)
        step, identity = lineage.artefacts[Path(place)]
        inputs = {"windows": ["cache/tokens"], "tokens": ["cache/corpus"]}.get(step.name, [])
        contents = {name: lineage.verified(Path(name)).content for name in inputs}
        origin = lineage.made(step, identity, contents)
        sealed = None if store is None else lambda folder: store.put(folder, link=True)
        with writing(Path(place), origin, sealed) as directory:
            (directory / "data.txt").write_text(json.dumps(origin.params, sort_keys=True) + text)


def state(*places: str) -> dict[str, bytes]:
    return {
        f"{place}/{name}": Path(place, name).read_bytes()
        for place in places or PLACES
        for name in (MANIFEST, "data.txt")
    }


def returned(params: Params) -> list[str]:
    return [str(directory) for directory in bring_back(Lineage(params, contents=True), Store(STORE))]


def test_settings_that_were_there_before_bring_their_artefacts_back(params: Params) -> None:
    """Nothing has been put before: what is there is kept when it is about to be replaced."""
    other = changed(params, "tokens", n_tokens=5)
    make(params)
    before = state()
    assert returned(other) == []
    make(other, "cache/tokens", "cache/windows/docs-0")
    after = state()
    assert returned(params) == ["cache/tokens", "cache/windows/docs-0"]
    assert state() == before
    assert returned(params) == []
    assert returned(other) == ["cache/tokens", "cache/windows/docs-0"]
    assert state() == after
    assert Lineage(other, contents=True).why_stale(Path("cache/windows/docs-0")) is None


def test_a_rehearsal_tells_the_same_and_changes_nothing(params: Params) -> None:
    other = changed(params, "tokens", n_tokens=5)
    make(params)
    assert would_come_back(Lineage(other), Store(STORE)) == {}
    returned(other)
    make(other, "cache/tokens", "cache/windows/docs-0")
    before = state()
    told = would_come_back(Lineage(params, contents=True), Store(STORE))
    assert state() == before
    assert told == bring_back(Lineage(params, contents=True), Store(STORE))
    assert "tokens.n_tokens = 5 (now 40000)" in told[Path("cache/tokens")]


def test_what_lies_behind_a_returned_artefact_is_judged_by_its_content(params: Params) -> None:
    make(params, store=Store(STORE))
    before = state()
    shutil.rmtree("cache/tokens")
    assert returned(params) == ["cache/tokens"]  # the windows were made from the same tokens, and stay
    assert state() == before


def test_nothing_comes_back_for_inputs_of_another_content(params: Params) -> None:
    """Settings and code are the same, but the corpus has to be computed, and came out otherwise."""
    make(params, store=Store(STORE))
    make(params, "cache/corpus", text="other")
    shutil.rmtree("cache/tokens")
    Store(STORE).put(Path("cache/corpus"), link=True)
    assert returned(params) == []
    assert not Path("cache/tokens").exists()


def test_nothing_comes_back_behind_an_input_that_has_to_be_computed(params: Params) -> None:
    store = Store(STORE)
    make(params, "cache/corpus")
    make(params, "cache/tokens", "cache/windows/docs-0", store=store)
    shutil.rmtree("cache")
    assert returned(params) == []
    make(params, "cache/corpus")
    assert returned(params) == ["cache/tokens", "cache/windows/docs-0"]


def test_code_that_was_there_before_brings_its_artefacts_back(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(params, store=Store(STORE))
    before = state()
    monkeypatch.setattr(lineage_module, "sources_hash", lambda module: "others")
    make(params, store=Store(STORE))
    assert state() != before
    monkeypatch.setattr(lineage_module, "sources_hash", lambda module: "sources")
    assert returned(params) == list(PLACES)
    assert state() == before


def flip(place: Path) -> None:
    place.write_bytes(place.read_bytes().replace(b"a", b"b", 1))


def unlink_and_flip(place: Path) -> None:
    """As an editor that saves by renaming: a link in the store keeps the old content."""
    content = place.read_bytes()
    place.unlink()
    place.write_bytes(content.replace(b"a", b"b", 1))


def empty(place: Path) -> None:
    place.unlink()
    place.write_bytes(b"")


@pytest.mark.parametrize("damage", [unlink_and_flip, empty, Path.unlink])
def test_what_is_damaged_in_place_comes_back(params: Params, damage: Callable[[Path], None]) -> None:
    make(params, store=Store(STORE))
    before = state()
    damage(Path("cache/tokens/data.txt"))
    assert returned(params) == ["cache/tokens"]
    assert state() == before


def test_what_is_damaged_through_a_link_does_not_come_back(params: Params) -> None:
    make(params, store=Store(STORE))
    before = state()
    linked = Path("cache/tokens/data.txt").stat().st_nlink > 1
    flip(Path("cache/tokens/data.txt"))
    assert returned(params) == ([] if linked else ["cache/tokens"])
    make(params, "cache/tokens", store=Store(STORE))
    assert state() == before
    shutil.rmtree("cache/tokens")
    assert returned(params) == ["cache/tokens"]
    assert state() == before


def test_one_artefact_comes_back_once_its_inputs_are_there(params: Params) -> None:
    make(params, store=Store(STORE))
    before = state()
    shutil.rmtree("cache")
    store = Store(STORE)
    assert not bring_one_back(Lineage(params), store, Path("cache/tokens"))
    assert bring_one_back(Lineage(params), store, Path("cache/corpus"))
    assert bring_one_back(Lineage(params), store, Path("cache/tokens"))
    assert bring_one_back(Lineage(params), store, Path("cache/windows/docs-0"))
    assert state() == before


def test_an_artefact_that_is_no_longer_whole_is_not_kept(params: Params) -> None:
    make(params)
    Path("cache/tokens/data.txt").write_text("cut")
    Path("cache/windows/docs-0", MANIFEST).write_text("{")
    returned(changed(params, "tokens", n_tokens=5))
    assert Store(STORE).entries() == []


def test_what_is_fresh_counts_as_used(params: Params) -> None:
    store = Store(STORE)
    make(params, store=store)
    make(changed(params, "windows", length=20), "cache/windows/docs-0", store=store)
    assert returned(changed(params, "windows", length=20)) == []
    store.trim(sum(entry.n_bytes for entry in store.entries()) - 1)
    windows = read_manifest(Path("cache/windows/docs-0"))
    assert windows is not None
    assert store.holds(windows)
    assert returned(params) == []  # those of the other length had not been used for longest
