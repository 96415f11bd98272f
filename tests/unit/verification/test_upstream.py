from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kindred.verification.upstream import Change, Link, changes, differing, partings, within_sections

NEEDS = {
    "corpus": (),
    "tokens": ("corpus",),
    "windows": ("tokens",),
    "explanation/a": ("tokens",),
    "explanation/b": ("tokens",),
    "scoring": ("windows", "explanation/a", "explanation/b"),
    "tables": ("scoring", "windows"),
}


def chain(**own):
    """A chain in which an artefact's content hangs on its inputs' and on its own word."""
    links = {}
    for folder, needs in NEEDS.items():
        inputs = {name: links[name].content for name in needs}
        word = own.get(folder.replace("/", "_"), "")
        content = f"{folder}({word}:{','.join(inputs.values())})"
        step, _, identity = folder.partition("/")
        links[folder] = Link(step, identity, 1, "settings", content, "sources", inputs)
    return links


def test_equal_chains_have_no_parting():
    assert differing(chain(), chain()) == ()
    assert partings(chain(), chain()) == ()


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(sorted(NEEDS)), min_size=1))
def test_the_partings_are_the_changed_artefacts_whose_inputs_agree(moved):
    present = chain(**{folder.replace("/", "_"): "moved" for folder in moved})
    upstream = {
        folder: {*needs, *(n for need in needs for n in NEEDS[need])} for folder, needs in NEEDS.items()
    }
    for folder, needs in upstream.items():
        upstream[folder] = needs | {name for need in needs for name in upstream[need]}
    tops = {folder for folder in moved if not upstream[folder] & moved}
    found = partings(chain(), present)
    assert {folder for parting in found for folder in parting.artefacts} == tops
    assert differing(chain(), present)[0] == found[0].artefacts[0]
    assert set(differing(chain(), present)) == {
        folder for folder in NEEDS if folder in moved or upstream[folder] & moved
    }
    assert differing(present, chain()) == differing(chain(), present)


def test_artefacts_of_one_step_are_one_parting_and_what_is_known_of_it_is_said():
    present = chain(explanation_a="x", explanation_b="x")
    for folder in ("explanation/a", "explanation/b"):
        present[folder] = replace(present[folder], sources="edited", settings="other", version=2)
    (found,) = partings(chain(), present)
    assert (found.step, found.artefacts) == ("explanation", ("explanation/a", "explanation/b"))
    assert (found.code, found.settings, found.versions) == (True, True, (1, 2))


def test_an_artefact_that_only_one_chain_has_is_a_parting_if_its_inputs_are_the_same():
    present = chain()
    link = Link("windows", "b", 1, "settings", "new", "sources", {"tokens": present["tokens"].content})
    present["windows/b"] = link
    (found,) = partings(chain(), present)
    assert (found.artefacts, found.added, found.missing) == (("windows/b",), ("windows/b",), ())
    (back,) = partings(present, chain())
    assert (back.added, back.missing) == ((), ("windows/b",))
    other = chain(tokens="moved") | {"windows/b": replace(link, inputs={"tokens": "moved"})}
    assert [parting.step for parting in partings(chain(), other)] == ["tokens"]


def test_changes_name_every_value_that_differs():
    recorded = {"seed": 0, "windows": {"length": 30, "n_top": 10}, "pairs": {"seeds": ["a", "b"]}, "old": 1}
    here = {
        "seed": 0,
        "windows": {"length": 20, "n_top": 10},
        "pairs": {"seeds": ["a", "c"]},
        "new": {"x": 1},
    }
    found = changes(recorded, here)
    assert found == (
        Change("new", None, {"x": 1}),
        Change("old", 1, None),
        Change("pairs.seeds", ["a", "b"], ["a", "c"]),
        Change("windows.length", 30, 20),
    )
    assert within_sections(found, frozenset({"windows"})) == (Change("windows.length", 30, 20),)
    assert changes(here, here) == ()
