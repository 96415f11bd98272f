import json
import os
import random
from pathlib import Path

import pytest

from kindred import lineage as lineage_module
from kindred.artefacts.folder import MANIFEST
from kindred.artefacts.writing import writing
from kindred.errors import KindredError
from kindred.lineage import STAMPS, Lineage, first_difference, report, survey
from kindred.params import Params, load_params

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The small experiment, in an empty folder, as if its sources were all of one hash."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lineage_module, "sources_hash", lambda module: "sources")
    return load_params(ROOT / "params.yaml", experiment="small", experiments=ROOT / "experiments")


def make(lineage: Lineage, place: str, text: str = "x") -> None:
    """Write an artefact from whatever inputs of it are there, as its step would."""
    step, identity = lineage.artefacts[Path(place)]
    inputs = {"windows": ["cache/tokens"], "tokens": ["cache/corpus"]}.get(step.name, [])
    contents = {name: lineage.verified(Path(name)).content for name in inputs}
    with writing(Path(place), lineage.made(step, identity, contents)) as directory:
        (directory / "data.txt").write_text(text)


def make_three(params: Params) -> None:
    for place in ("cache/corpus", "cache/tokens", "cache/windows/docs-0"):
        make(Lineage(params), place)


def changed(params: Params, section: str, **values: object) -> Params:
    data = json.loads(params.model_dump_json())
    data[section] |= values
    return Params.model_validate_json(json.dumps(data))


def test_what_was_made_from_what_holds_now_is_fresh(params: Params) -> None:
    make_three(params)
    assert Lineage(params).why_stale(Path("cache/windows/docs-0")) is None
    assert Lineage(params).why_stale(Path("cache/windows/docs-1")) == "it is missing"


def test_a_changed_setting_makes_its_step_stale_and_what_lies_downstream(params: Params) -> None:
    make_three(params)
    lineage = Lineage(changed(params, "windows", length=20))
    assert lineage.why_stale(Path("cache/windows/docs-0")) == "it was made with windows.length = 30 (now 20)"
    assert lineage.why_stale(Path("cache/tokens")) is None
    lineage = Lineage(changed(params, "tokens", n_tokens=5))
    assert "its input cache/tokens is stale" in str(lineage.why_stale(Path("cache/windows/docs-0")))


def test_changed_sources_make_an_artefact_stale(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    make_three(params)
    monkeypatch.setattr(
        lineage_module, "sources_hash", lambda module: "new" if module.endswith("windows") else "sources"
    )
    assert "code of kindred.steps.windows has changed" in str(
        Lineage(params).why_stale(Path("cache/windows/docs-0"))
    )


def test_an_input_made_anew_with_another_content_makes_what_used_it_stale(params: Params) -> None:
    make_three(params)
    make(Lineage(params), "cache/tokens", "y")
    assert "it was made from another content of cache/tokens" in str(
        Lineage(params).why_stale(Path("cache/windows/docs-0"))
    )


def test_an_artefact_of_other_params_swapped_in_is_refused_with_what_made_it(params: Params) -> None:
    make(Lineage(params), "cache/corpus")
    make(Lineage(changed(params, "tokens", n_tokens=5)), "cache/tokens")
    with pytest.raises(KindredError, match=r"it was made with tokens\.n_tokens = 5 \(now 40000\)"):
        Lineage(params).verified(Path("cache/tokens"))


def test_truncation_is_noticed_by_size_and_a_flipped_byte_when_the_input_is_read(params: Params) -> None:
    make(Lineage(params), "cache/corpus", "abc")
    data = Path("cache/corpus/data.txt")
    data.write_text("abd")
    assert Lineage(params).why_stale(Path("cache/corpus")) is None
    with pytest.raises(KindredError, match=r"differs from what was written"):
        Lineage(params).verified(Path("cache/corpus"))
    assert Lineage(params).why_stale(Path("cache/corpus")) == "cache/corpus/manifest.json is missing"
    make(Lineage(params), "cache/corpus", "abc")
    data.write_text("a")
    assert "has 1 bytes, not the 3" in str(Lineage(params).why_stale(Path("cache/corpus")))


def test_every_flipped_byte_of_a_manifest_is_noticed(params: Params) -> None:
    make_three(params)
    place = Path("cache/windows/docs-0", MANIFEST)
    content = place.read_bytes()
    generator = random.Random(0)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << generator.randrange(8)
        place.write_bytes(flipped)
        assert Lineage(params, contents=True).why_stale(place.parent), bytes(flipped)
    place.write_bytes(content)
    assert Lineage(params, contents=True).why_stale(place.parent) is None


def reported(params: Params, capsys: pytest.CaptureFixture[str]) -> list[str]:
    report(survey(Lineage(params, contents=True)))
    return capsys.readouterr().err.splitlines()


def test_the_causes_are_reported_and_not_what_follows_from_them(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(params, capsys) == []
    make_three(params)
    assert reported(params, capsys) == []
    data = Path("cache/tokens/data.txt")
    data.write_text("y")
    assert reported(params, capsys) == [
        "kindred: cache/tokens/data.txt differs from what was written (checksum); to be made anew"
    ]
    data.write_text("x")
    manifest = Path("cache/tokens", MANIFEST)
    manifest.rename("aside")
    assert reported(params, capsys) == ["kindred: cache/tokens/manifest.json is missing; to be made anew"]
    data.unlink()
    assert reported(params, capsys) == ["kindred: cache/tokens: it is missing; to be made anew"]
    make(Lineage(params), "cache/tokens", "another")
    assert reported(params, capsys) == [
        "kindred: cache/windows/docs-0: it was made from another content of cache/tokens, its input, "
        "than is there now; to be made anew"
    ]


def test_the_survey_stamps_what_is_stale_and_orders_the_times_of_what_is_fresh(params: Params) -> None:
    make_three(params)
    os.utime(Path("cache/corpus", MANIFEST), (2_000_000_000, 2_000_000_000))
    stale = survey(Lineage(params))
    assert Path("cache/windows/docs-0") not in stale
    assert Path(STAMPS, "cache/windows/docs-0").stat().st_mtime == 0
    times = [
        Path(p, MANIFEST).stat().st_mtime for p in ("cache/corpus", "cache/tokens", "cache/windows/docs-0")
    ]
    assert times == sorted(times)
    assert stale[Path("cache/windows/docs-1")] == "it is missing"
    stamp = Path(STAMPS, "cache/windows/docs-1")
    before = stamp.read_text()
    survey(Lineage(params))
    assert stamp.read_text() != before


def test_the_first_difference_is_named_by_its_full_key() -> None:
    assert first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == "a.c = 2 (now 3)"
    assert first_difference({"a": 1}, {"a": 1}) is None
    assert first_difference({"a": {"b": None}}, {"a": {}}) == "a.b = None (now there is none)"
    assert first_difference({"a": {}}, {"a": {"b": None}}) == "no a.b (now None)"


@pytest.mark.parametrize("nanoseconds", range(1_763_735_945_123_456_701, 1_763_735_945_123_456_999, 37))
def test_times_are_put_in_order_to_the_nanosecond(params: Params, nanoseconds: int) -> None:
    """Rounded to a float and back, an output's time can come out just before its input's."""
    make_three(params)
    for place in ("cache/corpus", "cache/tokens", "cache/windows/docs-0"):
        os.utime(Path(place, MANIFEST), ns=(1, 1))
    os.utime(Path("cache/corpus", MANIFEST), ns=(nanoseconds, nanoseconds))
    survey(Lineage(params))
    corpus, tokens = (Path(place, MANIFEST).stat() for place in ("cache/corpus", "cache/tokens"))
    assert corpus.st_mtime_ns == nanoseconds
    assert tokens.st_mtime_ns >= nanoseconds
    assert tokens.st_mtime >= corpus.st_mtime
