"""Progress lines of the long trainings, which run outside the pipeline's jobs."""

import logging
import time
from collections.abc import Callable

SECONDS = 10.0


def progress_printer(name: str) -> Callable[[int, int], None]:
    """Return a function of (done, total) that logs a line every few seconds, with the time left."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started = reported = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if done >= total or now - reported >= SECONDS:
            reported = now
            left = (now - started) * (total - done) / max(done, 1)
            logging.info("%s: %d of %d, %.1f minutes left", name, done, total, left / 60)

    return report
