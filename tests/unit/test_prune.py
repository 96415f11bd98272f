import pytest

from kindred.commands.prune import _size
from kindred.errors import KindredError


@pytest.mark.parametrize(
    "text", ["1,5GB", "20,000MB", "1.5.5GB", "5GB/2", "5 GB of it", "5B!", "-1GB", "5", "0", "much", ""]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(KindredError, match="not a size; give a number with a unit"):
        _size(text)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("0B", 0), ("5GB", 5 * 10**9), ("1.5 GB", 15 * 10**8), (" 300MB ", 3 * 10**8), ("2KiB", 2048)],
)
def test_a_size_is_read_whole(text: str, n_bytes: int) -> None:
    assert _size(text) == n_bytes
