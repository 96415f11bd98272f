import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kindred.artefacts.folder import MANIFEST, Made, Manifest, read_manifest, verify_content
from kindred.artefacts.writing import writing
from kindred.store import MEGABYTE, Store, StoreSettings

KilledAt = Callable[[int, Callable[[], object]], bool]
MADE = Made(kind="toy", version=1, identity="a", params={"x": 1}, sources="s", inputs={"cache/in": "c"})
# Puts and takes one artefact again and again, as jobs of several runs would; each of its takes must be whole.
BUSY = """
import sys
from pathlib import Path
from kindred.artefacts.folder import Made, verify_content
from kindred.artefacts.writing import writing
from kindred.store import Store
store, place = Store(Path(sys.argv[1])), Path(sys.argv[2])
taken = 0
for number in range(60):
    made = Made(kind="toy", version=1, identity="", params={"x": number % 3}, sources="s", inputs={})
    if number % 5 == 0:
        with writing(place, made, lambda folder: store.put(folder, link=True)) as partial:
            (partial / "part.txt").write_text(f"{number % 3}" * 100_000)
    for manifest in store.candidates(made):
        if store.take(manifest, place, link=True):
            assert verify_content(place, "toy", 1).params == made.params
            taken += 1
    if number % 7 == 0:
        store.trim(250_000)
print(taken)
"""


def made(x: int = 1, **inputs: str) -> Made:
    return MADE.model_copy(update={"params": {"x": x}, "inputs": inputs or MADE.inputs})


def write(place: Path, origin: Made = MADE, text: str = "hello", store: Store | None = None) -> Manifest:
    """Write an artefact as a job does, with a file in a folder of its own, and a sidecar."""
    sealed = None if store is None else lambda folder: store.put(folder, link=True)
    with writing(place, origin, sealed) as partial:
        (partial / "part").mkdir()
        (partial / "part/data.txt").write_text(text)
        (partial / "data.txt").write_text(text)
        (partial / "data.provenance.json").write_text("{}")
    manifest = read_manifest(place)
    assert manifest is not None
    return manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache/a"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def take(store: Store, place: Path, origin: Made = MADE) -> bool:
    return any(store.take(manifest, place, link=True) for manifest in store.candidates(origin))


def names(store: Store) -> list[str]:
    """Everything that lies in the store, what killed processes left included."""
    return sorted(path.name for path in store.root.iterdir())


def damage(path: Path) -> None:
    """Flip a bit where it lies, as the superuser can whatever the mode says."""
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    with path.open("rb+") as file:
        file.write(content)


def test_what_was_put_comes_back_with_every_byte(store: Store, place: Path) -> None:
    write(place, store=store)
    before = contents(place)
    write(place, made(2), "other")
    assert take(store, place)
    assert contents(place) == before
    verify_content(place, "toy", 1)


def test_the_inputs_are_those_of_the_manifest_and_any_other_difference_is_another_key(
    store: Store, place: Path
) -> None:
    first = write(place, made(1, **{"cache/in": "c"}), "first", store)
    second = write(place, made(1, **{"cache/in": "d"}), "second", store)
    assert sorted(m.content for m in store.candidates(made(1))) == sorted((first.content, second.content))
    for field, value in {"kind": "x", "version": 2, "identity": "b", "sources": "t"}.items():
        assert list(store.candidates(MADE.model_copy(update={field: value}))) == []
    assert list(store.candidates(made(2))) == []


@pytest.mark.parametrize("file", ["data.txt", "part/data.txt"])
def test_a_write_through_a_link_is_noticed_and_never_comes_back(store: Store, place: Path, file: str) -> None:
    write(place, store=store)
    damage(place / file)
    if (store.entries()[0].path / file).read_bytes() == (place / file).read_bytes():  # a hard link
        before = contents(place)
        assert not take(store, place)
        assert store.entries() == []
        assert contents(place) == before
    else:
        assert take(store, place)
        verify_content(place, "toy", 1)


@pytest.mark.parametrize("file", ["data.txt", MANIFEST])
@pytest.mark.parametrize("kind", ["flipped", "cut short", "deleted"])
def test_a_damaged_entry_is_never_taken(store: Store, place: Path, file: str, kind: str) -> None:
    write(place, store=store)
    place.rename(place.with_name("away"))
    path = store.entries()[0].path / file
    if kind == "deleted":
        path.unlink()
    elif kind == "flipped":
        damage(path)
    else:
        path.chmod(0o644)
        path.write_text("")
    assert not take(store, place)
    assert not place.exists()


def test_a_new_artefact_takes_the_place_of_a_damaged_entry(store: Store, place: Path) -> None:
    write(place, store=store)
    damage(store.entries()[0].path / "data.txt")
    write(place, store=store)
    write(place, made(2), "other")
    assert take(store, place)
    verify_content(place, "toy", 1)


def test_a_damage_in_place_is_mended_although_size_and_manifest_are_as_they_were(
    store: Store, place: Path
) -> None:
    write(place, store=store)
    entry = store.entries()[0].path / "data.txt"
    (place / "data.txt").unlink()
    (place / "data.txt").write_text("hellO")
    assert entry.read_text() == "hello"
    assert take(store, place)
    verify_content(place, "toy", 1)


def test_files_that_people_edit_are_no_links(store: Store, place: Path) -> None:
    with writing(place, MADE, lambda folder: store.put(folder, link=False)) as partial:
        (partial / "data.txt").write_text("hello")
    (place / "data.txt").write_text("an edit")
    (manifest,) = store.candidates(MADE)
    assert store.take(manifest, place, link=False)
    (place / "data.txt").write_text("an edit")
    assert store.take(manifest, place, link=False)
    assert (place / "data.txt").read_text() == "hello"


def test_the_manifest_and_sidecars_are_files_of_their_own(store: Store, place: Path) -> None:
    """Times are set on the manifest, and sidecars are written anew."""
    write(place, store=store)
    for name in (MANIFEST, "data.provenance.json"):
        assert (place / name).stat().st_nlink == 1
    assert take(store, place)
    for name in (MANIFEST, "data.provenance.json"):
        assert (place / name).stat().st_nlink == 1


def fill(store: Store, place: Path, number: int, size: int) -> list[Made]:
    """Put artefacts of a size, each used a second after the one before, beginning long ago."""
    origins = [made(x) for x in range(number)]
    for x, origin in enumerate(origins):
        manifest = write(place, origin, f"{x}" * (size // 2), store)
        moment = time.time_ns() - (1000 - x) * 10**9
        os.utime(store._entry(manifest), ns=(moment, moment))
    return origins


def present(store: Store, origins: list[Made]) -> list[int]:
    return [x for x, origin in enumerate(origins) if list(store.candidates(origin))]


def test_what_was_not_used_for_longest_goes_first(store: Store, place: Path) -> None:
    origins = fill(store, place, 5, 1000)
    assert take(store, place, origins[0])
    store.note_use(next(store.candidates(origins[2])))
    assert store.trim(3000) == 2000
    assert present(store, origins) == [0, 2, 4]
    assert store.trim(3000) == 0
    assert store.trim(0) == 3000
    assert store.entries() == []


def test_the_limit_holds_after_every_put_and_what_is_larger_stays_out(store: Store, place: Path) -> None:
    store.configure(StoreSettings(limit_mb=1))
    origins = fill(store, place, 4, 400_000)
    assert present(store, origins) == [2, 3]
    write(place, made(9), "x" * MEGABYTE, store)
    assert present(store, [made(9), *origins]) == [3, 4]


def test_a_limit_of_zero_is_no_store(store: Store, place: Path) -> None:
    store.configure(StoreSettings(limit_mb=0))
    write(place, store=store)
    assert store.entries() == []
    assert (place / "data.txt").stat().st_mode & 0o200


def test_settings_are_remembered_and_unreadable_ones_are_the_defaults(store: Store) -> None:
    assert store.settings == StoreSettings()
    store.configure(StoreSettings(limit_mb=7, takes=False))
    assert Store(store.root).settings == StoreSettings(limit_mb=7, takes=False)
    (store.root / "settings.json").write_text("{")
    assert store.settings == StoreSettings()
    (store.root / "settings.json").unlink()
    (store.root / "settings.json").mkdir()
    assert not store.settings.gives
    assert store.limit == 0


def test_a_put_killed_at_any_moment_leaves_a_whole_entry_or_none(
    store: Store, place: Path, killed_at: KilledAt
) -> None:
    write(place)
    store.root.mkdir()
    seen = set()
    for number in range(1000):
        store.trim(0)
        if not killed_at(number, lambda: store.put(place, link=True)):
            break
        verify_content(place, "toy", 1)
        found = take(store, place.with_name("b"))
        seen.add(found)
        if found:
            verify_content(place.with_name("b"), "toy", 1)
        store.remove_left_overs(of_all_machines=True)
        assert len(names(store)) == len(store.entries())
    assert number > 10
    assert seen == {True, False}


def test_a_take_killed_at_any_moment_leaves_the_old_the_new_or_nothing(
    store: Store, place: Path, killed_at: KilledAt
) -> None:
    write(place, store=store)
    seen = set()
    for number in range(1000):
        write(place, made(2), "other")
        if not killed_at(number, lambda: take(store, place)):
            break
        manifest = read_manifest(place)
        seen.add(manifest and manifest.params["x"])
        if manifest:
            verify_content(place, "toy", 1)
        assert take(store, place)
        verify_content(place, "toy", 1)
        assert sorted(path.name for path in place.parent.iterdir()) == ["a"]
    assert number > 10
    assert seen == {1, 2, None}


def test_a_trim_killed_at_any_moment_leaves_whole_entries(
    store: Store, place: Path, killed_at: KilledAt
) -> None:
    for number in range(1000):
        write(place, store=store)
        if not killed_at(number, lambda: store.trim(0)):
            break
        if store.entries():
            assert take(store, place)
            verify_content(place, "toy", 1)
        store.remove_left_overs(of_all_machines=True)
        assert len(names(store)) == len(store.entries())
    assert number > 3


def test_many_processes_put_take_and_drop_at_once(store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-c", BUSY, str(store.root)]
    runs = [
        subprocess.Popen([*command, str(tmp_path / f"cache/{number}")], stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]
    taken = [int(run.communicate(timeout=120)[0]) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4
    assert min(taken) > 0
    store.remove_left_overs(of_all_machines=True)
    assert len(names(store)) == len(store.entries())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_costs_the_oldest_entries(small_disk: Path) -> None:
    store, place = Store(small_disk / "store"), small_disk / "cache/a"
    origins = fill(store, place, 6, 100_000)
    assert not store.make_room(10_000, place)
    assert store.make_room(700_000, place)
    assert present(store, origins) in ([4, 5], [3, 4, 5])
    assert store.make_room(10 * MEGABYTE, place)
    assert store.entries() == []
    assert not store.make_room(10 * MEGABYTE, place)
    verify_content(place, "toy", 1)


def test_nothing_is_put_on_a_full_disk_and_what_is_there_stays_whole(
    small_disk: Path, tmp_path: Path
) -> None:
    store = Store(small_disk / "store")
    write(tmp_path / "cache/a", made(1), "x" * 300_000, store)
    write(tmp_path / "cache/b", made(2), "y" * 300_000, store)
    assert present(store, [made(0), made(1), made(2)]) == [1]
    verify_content(tmp_path / "cache/b", "toy", 1)
    assert take(store, tmp_path / "cache/c", made(1))


def test_another_disk_that_is_full_costs_nothing(small_disk: Path, store: Store, place: Path) -> None:
    write(place, store=store)
    assert not store.make_room(10**18, small_disk / "cache/a")
    assert len(store.entries()) == 1
