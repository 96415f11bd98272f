"""The loop that finds the best windows of features in one pass over their activations, compiled.

Source: docs/methods.md, section 3. Of each activation, what follows it within the length of a window bounds all windows
that begin with it: a few additions without a branch. Only where a bound reaches the worst of the best runs so far is a
run looked at, from one change of content to the next. Of the runs with the foremost best windows, ``n_top`` hold all
windows to be chosen (as long as fewer are chosen, one of them has none chosen from it, and its best window comes before
all windows of other runs). Choosing a window leaves what is left and right of it as two shorter stretches.

All of the loop is in this one file, because the compiled form is kept until *this* file changes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kindred.compiled import compiled

MEAN, DENSITY, MAX = 0, 1, 2
FINE, OUTSIDE, NOT_POSITIVE, NOT_ASCENDING = 0, 1, 2, 3

# More than rounding can take from a float64 sum of a context's activations, so that bounds stay bounds.
_MARGIN = 1 + 2.0**-20
# A sum of float32 is exact in float64, in any order, if it is at most this times the least of its terms: all terms
# are multiples of 2**-24 of the least (or of a larger unit), and float64 holds 2**53 units.
_EXACT = 2.0**29
# Entries bounded at once: few at first, as long as little is known of what will do.
_FIRST_CHUNK, _CHUNK = 32, 512
_SHORT_SHARE = 32  # where more than one entry in so many saw too little ahead, more is looked at
BLOCK_BITS = 4  # of the tokens that share a least width
_FLOAT32_ROUNDING = 2.0**-22
_LEAST_BOUND = 2.0**-100  # far from where float32 has fewer digits
_LONGEST_DISTINCT = 1000
_LIMB_BITS = 32
_LIMBS = 11  # from 2**-149, the least float32, to 2**128 with room for carries
_LEAST_PLACE = 149
_FLOAT32_DIGITS = 24


@compiled
def exact_sum(value: NDArray[np.float32], first: int, stop: int) -> float:
    """Return the sum of value[first:stop], rounded once, whatever their order and range."""
    total, least = 0.0, math.inf
    for entry in range(first, stop):
        total += value[entry]
        least = min(least, value[entry])
    if total <= least * _EXACT:
        return total
    limbs = np.zeros(_LIMBS, dtype=np.int64)
    for entry in range(first, stop):
        fraction, exponent = math.frexp(np.float64(value[entry]))
        digits = np.int64(math.ldexp(fraction, _FLOAT32_DIGITS))
        place = exponent - _FLOAT32_DIGITS + _LEAST_PLACE
        if place < 0:  # below the normal numbers the last digits are zeros
            digits >>= -place
            place = 0
        digits <<= place % _LIMB_BITS
        limbs[place // _LIMB_BITS] += digits & 0xFFFFFFFF
        limbs[place // _LIMB_BITS + 1] += digits >> _LIMB_BITS
    top = 0
    for limb in range(_LIMBS - 1):
        limbs[limb + 1] += limbs[limb] >> _LIMB_BITS
        limbs[limb] &= 0xFFFFFFFF
    for bit in range((_LIMBS - 1) * _LIMB_BITS):
        if limbs[bit // _LIMB_BITS] >> (bit % _LIMB_BITS) & 1:
            top = bit
    # The highest 61 digits; that any lower one is set is all that rounding to 53 has to know of them.
    lowest = max(top - 60, 0)
    leading = np.int64(0)
    for bit in range(top, -1, -1):
        digit = limbs[bit // _LIMB_BITS] >> (bit % _LIMB_BITS) & 1
        leading = leading << 1 | digit if bit >= lowest else leading | digit
    return math.ldexp(np.float64(leading), lowest - _LEAST_PLACE)


@compiled
def _at(token: NDArray[Any], entry: int) -> int:
    """Return the token of an entry as a signed number; unsigned ones would wrap round below zero."""
    position: int = token[entry] + 0
    return position


@compiled
def _best_by_content(
    token: NDArray[Any],
    value: NDArray[np.float32],
    entries: tuple[int, int],
    stretch: tuple[int, int],
    width: int,
    criterion: int,
) -> tuple[float, int, float, int]:
    """Return score, 0, tie-break and start of the foremost window of a stretch by mean or density."""
    first, stop = entries
    total, least = 0.0, math.inf
    for entry in range(first, stop):
        total += value[entry]
        least = min(least, value[entry])
    sums_are_exact = total <= least * _EXACT
    start, last_start = stretch[0], stretch[1] - width
    best_score, best_tie, best_start = 0.0, 0.0, start
    total = 0.0
    head = first
    while start <= last_start:
        while head < stop and token[head] < start + width:
            total += value[head]
            head += 1
        while first < head and token[first] < start:
            total -= value[first]
            first += 1
        if first < head:
            mean = (total if sums_are_exact else exact_sum(value, first, head)) / width
            density = (head - first) / width
            score, tie = (mean, density) if criterion == MEAN else (density, mean)
            if score > best_score or (score == best_score and tie > best_tie):
                best_score, best_tie, best_start = score, tie, start
        elif head == stop:
            break
        # The first start from which the content is another.
        leaves = _at(token, first) + 1 if first < head else last_start + 1
        enters = _at(token, head) - width + 1 if head < stop else last_start + 1
        start = min(leaves, enters)
    return best_score, 0, best_tie, best_start


@compiled
def _best_by_max(
    token: NDArray[Any],
    value: NDArray[np.float32],
    entries: tuple[int, int],
    stretch: tuple[int, int],
    run: tuple[int, int],
    width: int,
) -> tuple[float, int, float, int]:
    """Return peak, distance from the central place, density and start of the foremost window of a stretch.

    The central place has the peak at position width // 2, or as near to it as the run allows. Each of several equal
    peaks has but one nearest window, and one of these is the foremost.
    """
    first, stop = entries
    peak = np.float32(0)
    for entry in range(first, stop):
        peak = max(peak, value[entry])
    best_distance, best_density, best_start = 1 << 62, 0.0, stretch[0]
    for entry in range(first, stop):
        if value[entry] == peak:
            at = _at(token, entry)
            central = min(max(at - width // 2, run[0]), run[1] - width)
            start = min(max(central, stretch[0], at - width + 1), stretch[1] - width, at)
            distance = abs(start - central)
            left, right = entry, entry + 1
            while left > first and token[left - 1] >= start:
                left -= 1
            while right < stop and token[right] < start + width:
                right += 1
            density = (right - left) / width
            if distance < best_distance or (distance == best_distance and density > best_density):
                best_distance, best_density, best_start = distance, density, start
    return np.float64(peak), best_distance, best_density, best_start


@compiled
def _best_of(
    token: NDArray[Any],
    value: NDArray[np.float32],
    entries: tuple[int, int],
    stretch: tuple[int, int],
    run: tuple[int, int],
    width: int,
    criterion: int,
) -> tuple[float, int, float, int]:
    """Return score, distance, tie-break and start of the foremost window of a stretch of a run."""
    if criterion == MAX:
        return _best_by_max(token, value, entries, stretch, run, width)
    return _best_by_content(token, value, entries, stretch, width, criterion)


@compiled
def _best_with(
    at: int, amount: float, run: tuple[int, int], width: int, criterion: int
) -> tuple[float, int, float, int]:
    """Return what `_best_of` does for a run that holds one activation only, as most do."""
    mean, density, earliest = amount / width, 1 / width, max(run[0], at - width + 1)
    if criterion == MEAN:
        return mean, 0, density, earliest
    if criterion == DENSITY:
        return density, 0, mean, earliest
    return amount, 0, density, min(max(at - width // 2, run[0]), run[1] - width)


@compiled
def _weigh(
    token: NDArray[Any],
    value: NDArray[np.float32],
    entries: tuple[int, int],
    run: tuple[int, int],
    length: int,
    min_length: int,
    n_top: int,
    keys: NDArray[np.float64],
    places: NDArray[np.int64],
    n_kept: NDArray[np.int64],
    worst: NDArray[np.float64],
) -> None:
    """Keep a run by each criterion by which it is among the foremost so far, in place of the worst of these.

    A run of fewer than ``min_length`` tokens holds no window.
    """
    total, peak = 0.0, np.float32(0)
    for entry in range(entries[0], entries[1]):
        total += value[entry]
        peak = max(peak, value[entry])
    width = min(length, run[1] - run[0])
    density = min(entries[1] - entries[0], width) / width
    n_criteria = 3 if run[1] - run[0] >= min_length else 0
    for criterion in range(n_criteria):
        score, tie = worst[criterion, 0], worst[criterion, 1]
        if criterion == MEAN:
            may_reach = total * _MARGIN >= score * width
        elif criterion == DENSITY:
            may_reach = density > score or (density == score and total * _MARGIN >= tie * width)
        else:
            may_reach = peak > score or (peak == score and density > tie)
        if not may_reach:
            continue
        if entries[1] - entries[0] == 1:
            key = _best_with(_at(token, entries[0]), np.float64(peak), run, width, criterion)
        else:
            key = _best_of(token, value, entries, run, run, width, criterion)
        if key[0] > score or (key[0] == score and key[2] > tie):
            if n_kept[criterion] < n_top:
                row = n_kept[criterion]
                n_kept[criterion] += 1
            else:
                row = np.int64(worst[criterion, 2])
            _write(keys, places, criterion, row, key, run, run, entries)
            if n_kept[criterion] == n_top:
                _find_worst(keys, places, criterion, n_top, worst)


@compiled
def _write(
    keys: NDArray[np.float64],
    places: NDArray[np.int64],
    criterion: int,
    row: int,
    key: tuple[float, int, float, int],
    run: tuple[int, int],
    stretch: tuple[int, int],
    entries: tuple[int, int],
) -> None:
    keys[criterion, row, 0], keys[criterion, row, 1], keys[criterion, row, 2] = key[0], key[1], key[2]
    places[criterion, row, 0] = key[3]
    places[criterion, row, 1], places[criterion, row, 2] = run
    places[criterion, row, 3], places[criterion, row, 4] = stretch
    places[criterion, row, 5], places[criterion, row, 6] = entries


@compiled
def _find_worst(
    keys: NDArray[np.float64],
    places: NDArray[np.int64],
    criterion: int,
    n_top: int,
    worst: NDArray[np.float64],
) -> None:
    """Note score, tie-break and row of the run that comes last of the foremost."""
    last = 0
    for row in range(1, n_top):
        score, least = keys[criterion, row, 0], keys[criterion, last, 0]
        if score < least or (
            score == least
            and (
                keys[criterion, row, 2] < keys[criterion, last, 2]
                or (
                    keys[criterion, row, 2] == keys[criterion, last, 2]
                    and places[criterion, row, 0] > places[criterion, last, 0]
                )
            )
        ):
            last = row
    worst[criterion, 0], worst[criterion, 1] = keys[criterion, last, 0], keys[criterion, last, 2]
    worst[criterion, 2] = last


@compiled
def _choose(
    token: NDArray[Any],
    value: NDArray[np.float32],
    criterion: int,
    length: int,
    n_top: int,
    keys: NDArray[np.float64],
    places: NDArray[np.int64],
    n_kept: int,
    feature: int,
    chosen: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> int:
    """Choose windows that do not overlap, best first, from the foremost runs; return how many."""
    for n_chosen in range(n_top):
        if n_kept == 0:
            return n_chosen
        best = _foremost(keys, places, criterion, n_kept)
        start, run_start, run_stop = (
            places[criterion, best, 0],
            places[criterion, best, 1],
            places[criterion, best, 2],
        )
        left, right = places[criterion, best, 3], places[criterion, best, 4]
        first, end = places[criterion, best, 5], places[criterion, best, 6]
        run, width = (run_start, run_stop), min(length, run_stop - run_start)
        n_kept -= 1
        for column in range(3):
            keys[criterion, best, column] = keys[criterion, n_kept, column]
        for column in range(7):
            places[criterion, best, column] = places[criterion, n_kept, column]
        begin = first
        while token[begin] < start:
            begin += 1
        stop, peak = begin, np.float32(0)
        while stop < end and token[stop] < start + width:
            peak = max(peak, value[stop])
            stop += 1
        scores[feature, criterion, n_chosen, MEAN] = exact_sum(value, begin, stop) / width
        scores[feature, criterion, n_chosen, DENSITY] = (stop - begin) / width
        scores[feature, criterion, n_chosen, MAX] = peak
        window = (start, width, begin, stop, run_start, run_stop)
        for column in range(6):
            chosen[feature, criterion, n_chosen, column] = window[column]
        if first < begin and start - left >= width:
            key = _best_of(token, value, (first, begin), (left, start), run, width, criterion)
            _write(keys, places, criterion, n_kept, key, run, (left, start), (first, begin))
            n_kept += 1
        if stop < end and right - start - width >= width:
            key = _best_of(token, value, (stop, end), (start + width, right), run, width, criterion)
            _write(keys, places, criterion, n_kept, key, run, (start + width, right), (stop, end))
            n_kept += 1
    return n_top


@compiled
def _foremost(keys: NDArray[np.float64], places: NDArray[np.int64], criterion: int, n_kept: int) -> int:
    """Return the row of the stretch whose foremost window comes before those of all others."""
    best = 0
    for row in range(1, n_kept):
        better = keys[criterion, row, 0] > keys[criterion, best, 0]
        if keys[criterion, row, 0] == keys[criterion, best, 0]:
            better = keys[criterion, row, 1] < keys[criterion, best, 1]
            if keys[criterion, row, 1] == keys[criterion, best, 1]:
                better = keys[criterion, row, 2] > keys[criterion, best, 2]
                if keys[criterion, row, 2] == keys[criterion, best, 2]:
                    better = places[criterion, row, 0] < places[criterion, best, 0]
        if better:
            best = row
    return best


@compiled
def _mark(
    token: NDArray[Any],
    value: NDArray[np.float32],
    n_entries: int,
    n_ahead: int,
    length: int,
    narrowest: NDArray[np.uint8],
    worst: NDArray[np.float64],
    total: NDArray[np.float32],
    count: NDArray[np.int32],
    marked: NDArray[np.uint8],
) -> int:
    """Mark the entries with which a window may begin that is among the foremost; return how many saw too little.

    What follows an entry within ``length`` tokens bounds all windows that begin with it. ``n_ahead`` entries are
    looked at for each, without a branch, so that the processor does many at once; an entry is marked, too, if there
    are more of them within reach. Bounds are in float32, and lowered by more than its rounding.
    """
    margin = 1 + (length + 8) * _FLOAT32_ROUNDING
    mean, tie, peak = worst[MEAN, 0] / margin, worst[DENSITY, 1] / margin, worst[MAX, 0]
    least_mean = np.float32(mean if mean > _LEAST_BOUND else 0)
    least_tie = np.float32(tie if tie > _LEAST_BOUND else 0)
    least_peak = np.float32(peak)
    least_density = np.float32(worst[DENSITY, 0] * (1 - _FLOAT32_ROUNDING))
    # Different shares of up to so many tokens differ by more than the rounding; of more, each is looked at.
    above = np.float32(worst[DENSITY, 0] * (1 + _FLOAT32_ROUNDING) if length <= _LONGEST_DISTINCT else -1)
    for entry in range(n_entries):
        total[entry] = value[entry]
        count[entry] = 1
    for ahead in range(1, n_ahead):
        for entry in range(n_entries):
            reached = token[entry + ahead] - token[entry] < length
            total[entry] += value[entry + ahead] if reached else np.float32(0)
            count[entry] += np.int32(1) if reached else np.int32(0)
    n_short = 0
    for entry in range(n_entries):
        width = np.float32(narrowest[token[entry] >> BLOCK_BITS])
        content = min(np.float32(count[entry]), width)
        is_short = token[entry + n_ahead] - token[entry] < length
        by_mean = total[entry] >= least_mean * width
        by_density = (content >= least_density * width) & (
            (content > above * width) | (total[entry] >= least_tie * width)
        )
        n_short += is_short
        marked[entry] = is_short | by_mean | by_density | (value[entry] >= least_peak)
    return n_short


@compiled
def _is_sound(token: NDArray[Any], value: NDArray[np.float32], n_positions: int) -> int:
    """Return FINE or what is wrong with a stretch of a feature's entries."""
    descends, wrong = False, False
    for entry in range(len(token) - 1):
        descends |= token[entry + 1] <= token[entry]
    for entry in range(len(value)):
        wrong |= not (value[entry] > 0) & (value[entry] < np.inf)
    if descends:
        return NOT_ASCENDING
    if wrong:
        return NOT_POSITIVE
    return FINE if token[0] >= 0 and token[-1] < n_positions else OUTSIDE


@compiled
def _looks_worse(
    token: NDArray[Any],
    value: NDArray[np.float32],
    entry: int,
    end: int,
    length: int,
    width: int,
    worst: NDArray[np.float64],
) -> bool:
    """Whether no window that begins with an entry, or has its peak there, is among the foremost so far."""
    total, stop = 0.0, entry
    while stop < end and token[stop] - token[entry] < length:
        total += value[stop]
        stop += 1
    most, density = total * _MARGIN, min(stop - entry, width) / width
    return not (
        most >= worst[MEAN, 0] * width
        or density > worst[DENSITY, 0]
        or (density == worst[DENSITY, 0] and most >= worst[DENSITY, 1] * width)
        or value[entry] >= worst[MAX, 0]
    )


@compiled
def _run_of(
    at: int,
    run_start: NDArray[np.int64],
    run_length: NDArray[np.int64],
    first_run: NDArray[np.int64],
    context_length: int,
) -> int:
    """Return the run that holds a token of the corpus, or -1."""
    context = at // context_length
    for run in range(first_run[context], first_run[context + 1]):
        if at < run_start[run] + run_length[run]:
            return run if at >= run_start[run] else -1
    return -1


@compiled
def count_outside(
    token: NDArray[Any],
    entries: NDArray[np.int64],
    run_start: NDArray[np.int64],
    run_length: NDArray[np.int64],
    first_run: NDArray[np.int64],
    context_length: int,
) -> int:
    """Return how many of the entries from one to another are at tokens that no run holds."""
    n_positions = (len(first_run) - 1) * context_length
    n_outside = 0
    for entry in range(entries[0], entries[1]):
        at = _at(token, entry)
        inside = 0 <= at < n_positions and _run_of(at, run_start, run_length, first_run, context_length) >= 0
        n_outside += not inside
    return n_outside


@compiled
def search(
    token: NDArray[Any],
    value: NDArray[np.float32],
    bounds: NDArray[np.int64],
    run_start: NDArray[np.int64],
    run_length: NDArray[np.int64],
    first_run: NDArray[np.int64],
    narrowest: NDArray[np.uint8],
    context_length: int,
    length: int,
    min_length: int,
    n_top: int,
    chosen: NDArray[np.int64],
    scores: NDArray[np.float64],
    n_chosen: NDArray[np.int64],
) -> tuple[int, int]:
    """Find the best windows of features by each criterion.

    Args:
        token: Flat token indices, those of each feature ascending [entry].
        value: Activations there, [entry].
        bounds: First entry of each feature and one past its last, [feature, 2].
        run_start: First token of each run of the corpus, ascending [run].
        run_length: Tokens of each, [run].
        first_run: First run of each context, and the number of runs, [context + 1].
        narrowest: No window that touches a block of 2**BLOCK_BITS tokens has fewer tokens, [block].
        context_length: Positions of a context.
        length: Tokens of a window.
        min_length: Tokens that a run must have to hold a window.
        n_top: Windows for each criterion, at least 1.
        chosen: Receives start, tokens, first entry, one past the last entry, first token of the run and one past
            its last, [feature, criterion, n_top, 6].
        scores: Receives mean, density and max, [feature, criterion, n_top, 3].
        n_chosen: Receives how many windows there are, [feature, criterion].

    Returns:
        What is wrong with the activations (FINE if nothing), and the row of the feature.
    """
    keys = np.empty((3, 2 * n_top, 3))
    places = np.empty((3, 2 * n_top, 7), dtype=np.int64)
    n_kept = np.empty(3, dtype=np.int64)
    worst = np.empty((3, 3))
    total, count = np.empty(_CHUNK, dtype=np.float32), np.empty(_CHUNK, dtype=np.int32)
    marked = np.empty(_CHUNK, dtype=np.uint8)
    n_positions = (len(first_run) - 1) * context_length
    for feature in range(len(bounds)):
        worst[:] = -1
        n_kept[:] = 0
        chunk, end = bounds[feature]
        n_ahead, size, seen = 2, _FIRST_CHUNK, chunk
        while chunk < end:
            stop = min(chunk + size, end)
            fault = _is_sound(token[chunk : min(stop + 1, end)], value[chunk:stop], n_positions)
            if fault != FINE:
                return fault, feature
            n_marked = max(min(stop, end - n_ahead) - chunk, 0)
            n_short = _mark(
                token[chunk:end],
                value[chunk:end],
                n_marked,
                n_ahead,
                token.dtype.type(length),
                narrowest,
                worst,
                total,
                count,
                marked,
            )
            marked[n_marked : stop - chunk] = 1
            for offset in range(stop - chunk):
                entry = chunk + offset
                if not marked[offset] or entry < seen:
                    continue
                at = _at(token, entry)
                if _looks_worse(token, value, entry, end, length, narrowest[at >> BLOCK_BITS], worst):
                    continue
                run = _run_of(at, run_start, run_length, first_run, context_length)
                if run < 0:
                    return OUTSIDE, feature
                around = (run_start[run], run_start[run] + run_length[run])
                first, seen = entry, entry + 1
                while first > bounds[feature, 0] and token[first - 1] >= around[0]:
                    first -= 1
                while seen < end and token[seen] < around[1]:
                    seen += 1
                _weigh(
                    token,
                    value,
                    (first, seen),
                    around,
                    length,
                    min_length,
                    n_top,
                    keys,
                    places,
                    n_kept,
                    worst,
                )
            if n_short * _SHORT_SHARE > n_marked:
                n_ahead = min(n_ahead + n_ahead // 2, length)
            elif n_short == 0:
                n_ahead = max(n_ahead - 1, 1)
            chunk, size = stop, min(2 * size, _CHUNK)
        for criterion in range(3):
            n_chosen[feature, criterion] = _choose(
                token,
                value,
                criterion,
                length,
                n_top,
                keys,
                places,
                n_kept[criterion],
                feature,
                chosen,
                scores,
            )
    return FINE, 0
