"""The page stands alone, escapes every text, and shows every pair."""

import re
from html.parser import HTMLParser

import pytest

from kindred.report.cards import build_cards
from kindred.report.page import build_report
from kindred.report.questions import ask
from kindred.report.verdict import headline

VOID = {"meta", "link", "img", "input", "br", "col"}


class Outline(HTMLParser):
    """Collects tags, and fails on tags that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(study):
    return build_report(study, 2)


@pytest.fixture(scope="module")
def outline(page):
    found = Outline()
    found.feed(page)
    found.close()
    assert not found.open
    return found


def test_nothing_is_fetched(page, outline):
    for _, attributes in outline.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!data:)|@import|fetch\(|XMLHttpRequest", page)


def test_every_pair_has_a_card_and_each_anchor_is_unique(study, outline):
    cards = [attributes for tag, attributes in outline.tags if tag == "article"]
    assert len(cards) == sum(len(pair.records) for pair in study.pairs.values())
    names = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {attributes["href"][1:] for tag, attributes in outline.tags if tag == "a"}
    assert targets <= set(names)


def test_text_cannot_become_markup(page, outline):
    assert sum(tag == "script" for tag, _ in outline.tags) == 1
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;bold" in page
    assert "\u202e" not in page
    assert "[U+202E]" in page


def test_the_verdict_is_that_of_the_numbers(study, page):
    for sentence in headline(study, ask(study)):
        assert sentence in page


def test_windows_are_shown_as_many_as_asked(study, outline):
    n_records = sum(len(pair.records) for pair in study.pairs.values())
    lists = sum(tag == "ol" for tag, _ in outline.tags)
    assert lists == n_records * 2 * 3
    for n_windows in (0, 1, 2):
        shown = [len(side.windows["max"]) for card in build_cards(study, n_windows) for side in card.sides]
        assert set(shown) == {n_windows}


def test_two_runs_give_equal_bytes(make_study, page):
    assert build_report(make_study(), 2) == page
