"""The loop that finds the best windows of features in one pass over their activations, compiled.

Source: docs/methods.md, section 3. Per feature, each context in which it fires is weighed by bounds that cost one
addition per activation: no window holds more than all of its context. Only where a bound reaches the worst of the
best runs so far are the windows of each run looked at, from one change of content to the next; of these runs, the
``n_top`` foremost hold all windows to be chosen (as long as fewer are chosen, one of them has none chosen from it,
and its best window comes before all windows of other runs). Choosing a window leaves what is left and right of it as
two shorter stretches.

All of the loop is in this one file, because the compiled form is kept until *this* file changes.
"""

import math

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
def _best_by_content(
    token: NDArray[np.integer],
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
        leaves = np.int64(token[first]) + 1 if first < head else last_start + 1
        enters = np.int64(token[head]) - width + 1 if head < stop else last_start + 1
        start = min(leaves, enters)
    return best_score, 0, best_tie, best_start


@compiled
def _best_by_max(
    token: NDArray[np.integer],
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
    best_distance, best_density, best_start = np.int64(1) << 62, 0.0, stretch[0]
    for entry in range(first, stop):
        if value[entry] == peak:
            at = np.int64(token[entry])
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
    token: NDArray[np.integer],
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
def _weigh(
    token: NDArray[np.integer],
    value: NDArray[np.float32],
    entries: tuple[int, int],
    run: tuple[int, int],
    length: int,
    n_top: int,
    keys: NDArray[np.float64],
    places: NDArray[np.int64],
    n_kept: NDArray[np.int64],
    worst: NDArray[np.float64],
) -> None:
    """Keep a run by each criterion by which it is among the foremost so far, in place of the worst of these."""
    total, peak = 0.0, np.float32(0)
    for entry in range(entries[0], entries[1]):
        total += value[entry]
        peak = max(peak, value[entry])
    width = min(length, run[1] - run[0])
    density = min(entries[1] - entries[0], width) / width
    for criterion in range(3):
        score, tie = worst[criterion, 0], worst[criterion, 1]
        if criterion == MEAN:
            may_reach = total * _MARGIN >= score * width
        elif criterion == DENSITY:
            may_reach = density > score or (density == score and total * _MARGIN >= tie * width)
        else:
            may_reach = peak > score or (peak == score and density > tie)
        if not may_reach:
            continue
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
    token: NDArray[np.integer],
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
def search(
    token: NDArray[np.integer],
    value: NDArray[np.float32],
    bounds: NDArray[np.int64],
    run_start: NDArray[np.int64],
    run_length: NDArray[np.int64],
    first_run: NDArray[np.int64],
    context_length: int,
    length: int,
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
        context_length: Positions of a context.
        length: Tokens of a window.
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
    for feature in range(len(bounds)):
        worst[:] = -1
        n_kept[:] = 0
        entry, end = bounds[feature]
        last = np.int64(-1)
        while entry < end:
            at = np.int64(token[entry])
            context = at // context_length
            if at <= last:
                return NOT_ASCENDING, feature
            if context >= len(first_run) - 1:
                return OUTSIDE, feature
            run, stop_run = first_run[context], first_run[context + 1]
            while run < stop_run and run_start[run] + run_length[run] <= at:
                run += 1
            if run == stop_run or at < run_start[run]:
                return OUTSIDE, feature
            begin, tokens = run_start[run], run_length[run]
            run_stop = begin + tokens
            stop, total, peak = entry, 0.0, np.float32(0)
            while at < run_stop:
                amount = value[stop]
                if not 0 < amount < np.inf:
                    return NOT_POSITIVE, feature
                total += amount
                peak = max(peak, amount)
                stop += 1
                if stop == end:
                    break
                last = at
                at = np.int64(token[stop])
                if at <= last:
                    return NOT_ASCENDING, feature
            last = np.int64(token[stop - 1])
            width = min(length, tokens)
            density = min(stop - entry, width) / width
            most = total * _MARGIN
            if (
                most >= worst[MEAN, 0] * width
                or (
                    density >= worst[DENSITY, 0]
                    and (density > worst[DENSITY, 0] or most >= worst[DENSITY, 1] * width)
                )
                or (peak >= worst[MAX, 0] and (peak > worst[MAX, 0] or density > worst[MAX, 1]))
            ):
                _weigh(
                    token, value, (entry, stop), (begin, run_stop), length, n_top, keys, places, n_kept, worst
                )
            entry = stop
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
