"""The text of passages of the corpus, read as parts of the run of tokens they lie in (no source)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kindred.corpus.packing import PackedContexts
from kindred.scoring.chunks import Chunks
from kindred.windows.runs import Runs

# Gives the texts of the tokens start to stop of a passage, such as kindred.windows.text.PassageDecoder.
Decode = Callable[[Sequence[int], int, int], list[str]]


@dataclass(frozen=True, eq=False)
class PassageReader:
    """Reads passages of the corpus.

    Attributes:
        contexts: The corpus.
        decode: Gives the texts of tokens; called with whole runs, so that no space or character is lost at the
            edges of a passage.
    """

    contexts: PackedContexts
    decode: Decode

    def chunks(self, chunks: Chunks, wanted: NDArray[np.int64]) -> list[str]:
        """Return the texts of several chunks."""
        lie = chunks.at(wanted)
        columns = (lie.run_start, lie.run_length, lie.start - lie.run_start, lie.length)
        return [self._text(*place) for place in zip(*(column.tolist() for column in columns), strict=True)]

    def passage(self, runs: Runs, run: int, offset: int, length: int) -> str:
        """Return the text of a part of a run."""
        return self._text(int(runs.start[run]), int(runs.length[run]), offset, length)

    def token(self, token: int) -> str:
        """Return the text of a token that stands alone."""
        return "".join(self.decode([token], 0, 1))

    def _text(self, run_start: int, run_length: int, offset: int, length: int) -> str:
        tokens = self.contexts.tokens.ravel()[run_start : run_start + run_length].tolist()
        return "".join(self.decode(tokens, offset, offset + length))
