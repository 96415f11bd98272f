import errno

import pytest

from kindred.errors import KindredError, file_error, file_errors, one_line


def test_what_the_system_refuses_becomes_one_line_that_names_the_file(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(KindredError, match=r"file/inner: Not a directory: a file is in the place of a folder"),
        file_errors(),
    ):
        (tmp_path / "file/inner").read_bytes()


@pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EIO]
)
def test_every_refusal_has_its_advice(code):
    told = file_error(OSError(code, "said by the system", "cache/x"))
    assert str(told).startswith("cache/x: said by the system: ")


def test_a_full_disk_needs_no_name_but_other_refusals_do():
    assert "the disk is full" in str(file_error(OSError(errno.ENOSPC, "No space left on device")))
    assert file_error(OSError(errno.EACCES, "Permission denied")) is None


def test_a_missing_file_and_a_library_s_own_error_are_left_to_those_who_know():
    assert file_error(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) is None
    assert file_error(OSError("a library's words")) is None
    with pytest.raises(FileNotFoundError), file_errors():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")


def test_a_name_that_is_no_text_can_still_be_printed():
    told = file_error(OSError(errno.EACCES, "Permission denied", "bad\udcff"))
    assert str(told).encode()
    assert "bad\\xff" in str(told)
    assert "bad\\xff" in str(file_error(OSError(errno.EACCES, "Permission denied", b"bad\xff")))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("the file\n  is  broken"), "the file is broken"),
        (KeyError("gelu"), "KeyError: 'gelu'"),
        (RuntimeError(), "RuntimeError"),
        (OSError("x" * 400), "x" * 297 + "..."),
    ],
)
def test_the_message_of_a_library_is_one_short_line(error, text):
    assert one_line(error) == text
