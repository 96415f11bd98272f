"""The verdict in words: short, the worst first, and always what to look at next.

Source: docs/methods.md, section 8.
"""

from collections.abc import Iterator, Sequence

from kindred.report.passages import visible
from kindred.verification.affected import affected_features
from kindred.verification.comparison import Comparison, Verdict
from kindred.verification.differences import Cell
from kindred.verification.outcome import Origins, Outcome
from kindred.verification.upstream import Change, Parting, within_sections

_SHOWN = 10
_WORST = 3
_COLUMNS = 5
_LONGEST = 60


def describe(outcome: Outcome) -> str:
    """The whole verdict as lines of text, without a newline at the end."""
    comparison = outcome.comparison
    lines = [f"{_headline(comparison)} {outcome.name} ({outcome.commit[:12]})"]
    if comparison.verdict is Verdict.DIFFERENT:
        lines += _different(comparison)
    elif comparison.verdict is Verdict.WITHIN:
        lines += _within(comparison)
    else:
        lines.append(f"  {len(comparison.files)} files, {comparison.n_cells:,} cells")
    if outcome.origins is not None:
        lines += _origins(outcome, outcome.origins)
    return "\n".join([*lines, *outcome.notes])


def _headline(comparison: Comparison) -> str:
    if comparison.verdict is Verdict.IDENTICAL:
        return "identical, byte by byte, to"
    if comparison.verdict is Verdict.WITHIN:
        return "equal within the stated tolerance to"
    return "different from"


def _within(comparison: Comparison) -> Iterator[str]:
    moved = comparison.moved
    yield f"  tolerance: {comparison.tolerance}"
    if not moved:
        yield f"  all {comparison.n_cells:,} cells have the same values; some are written differently"
        return
    yield f"  {_count(len(moved), 'cell')} of {comparison.n_cells:,} moved, by {moved[0].size:.2g} at most:"
    yield from (f"    {_cell(cell)}" for cell in moved[:_WORST])


def _different(comparison: Comparison) -> Iterator[str]:
    beyond = [cell for file in comparison.numbers for cell in file.beyond]
    yield f"  tolerance: {comparison.tolerance}"
    within = f"; {len(comparison.moved):,} more moved within it" if comparison.moved else ""
    yield f"  {_count(len(beyond), 'cell')} of {comparison.n_cells:,} beyond it{within}"
    affected = affected_features(beyond)
    if affected.features:
        names = ", ".join(affected.texts[:5]) + (", ..." if len(affected.texts) > 5 else "")
        texts = (
            f"the explanations of {len(affected.texts)} read otherwise ({names})"
            if names
            else "no explanation reads otherwise"
        )
        yield f"  {_count(len(affected.features), 'feature')} affected; {texts}"
    yield from _gaps(comparison)
    yield from _by_file(comparison)
    following = [file.file for file in comparison.following]
    cells = [cell for cell in comparison.beyond if cell.file not in following]
    if cells:
        yield f"  the first {_SHOWN}:" if len(cells) > _SHOWN else "  which are:"
        yield from (f"    {_cell(cell)}" for cell in cells[:_SHOWN])


def _by_file(comparison: Comparison) -> Iterator[str]:
    for file in comparison.numbers:
        if file.beyond:
            yield f"  {file.file}: {_count(len(file.beyond), 'cell')} ({_columns(file.columns.most_common())})"
    for file in comparison.files:
        if file.beyond and file not in comparison.numbers and file not in comparison.following:
            yield f"  {file.file}: {_count(len(file.beyond), 'line')}"
    if comparison.following:
        yield f"  and {_count(len(comparison.following), 'printed form')} of these tables (.md, .tex)"


def _gaps(comparison: Comparison) -> Iterator[str]:
    files = [file for file in comparison.files if file not in comparison.following]
    gaps = [*comparison.gaps, *(gap for file in files for gap in file.gaps)]
    for gap in gaps[:_SHOWN]:
        place = "" if gap.part == "file" else f"{gap.file}: "
        if gap.part in ("lines", "length"):
            yield f"  {place}{gap.name}"
        elif gap.missing:
            yield f"  {place}{gap.part} {gap.name} is missing here"
        else:
            yield f"  {place}{gap.part} {gap.name} is not in the reference"
    if len(gaps) > _SHOWN:
        yield f"  and {len(gaps) - _SHOWN:,} more rows, columns or lengths"
    for file in comparison.files:
        if file.n_moved_rows:
            yield f"  {file.file}: {_count(file.n_moved_rows, 'row')} in another order"


def _origins(outcome: Outcome, origins: Origins) -> Iterator[str]:
    named: tuple[Change, ...] = ()
    if origins.partings:
        first, *others = origins.partings
        if first.settings or first.missing or first.added:
            named = within_sections(origins.params, outcome.sections.get(first.step, frozenset()))
        yield f"first differing step: {first.step} ({_artefacts(first.artefacts)})"
        yield from (f"  {cause}" for cause in _causes(first, named))
        if others:
            yield f"  differing on their own account, too: {', '.join(parting.step for parting in others)}"
        following = len(origins.differing) - sum(len(parting.artefacts) for parting in origins.partings)
        if following:
            yield f"  {_count(following, 'artefact')} further downstream {'differs' if following == 1 else 'differ'}"
    else:
        yield "upstream: no artefact differs"
    rest = [change for change in origins.params if change not in named]
    if rest:
        yield f"other params (recorded -> here): {_changes(rest)}"
    if origins.environment:
        yield f"environment (recorded -> here): {_changes(origins.environment)}"
    else:
        yield "environment: as recorded"


def _causes(parting: Parting, params: Sequence[Change]) -> Iterator[str]:
    """Why a step's artefacts may differ although its inputs agree."""
    if parting.missing:
        yield f"not made here: {_artefacts(parting.missing)}"
    if parting.added:
        yield f"not made in the reference: {_artefacts(parting.added)}"
    if parting.versions:
        yield f"the form of its artefact differs: version {parting.versions[0]} -> {parting.versions[1]}"
    if params:
        yield f"its params differ (recorded -> here): {_changes(params)}"
    elif parting.settings:
        yield "its params agree, but the files or packages that they name do not (see the environment)"
    if parting.code:
        yield "its code differs"
    known = params or parting.settings or parting.code or parting.versions or parting.missing or parting.added
    if not known:
        yield "its params, code and inputs agree: the environment made the difference"


def _changes(found: Sequence[Change]) -> str:
    return "; ".join(f"{change.key} {_value(change.recorded)} -> {_value(change.here)}" for change in found)


def _value(value: object) -> str:
    return "none" if value is None else _short(str(value))


def _cell(cell: Cell) -> str:
    return f"{cell.place}: {_short(cell.reference) or 'empty'} -> {_short(cell.present) or 'empty'}"


def _columns(counted: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in counted[:_COLUMNS])
    more = len(counted) - _COLUMNS
    return shown if more <= 0 else f"{shown}, and {_count(more, 'other')}"


def _artefacts(folders: Sequence[str]) -> str:
    shown = ", ".join(folders[:4])
    return shown if len(folders) <= 4 else f"{shown}, and {len(folders) - 4} more"


def _short(text: str) -> str:
    one_line = visible(" ".join(text.split()))  # a terminal obeys some characters
    return one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 3]}..."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
