"""File names for every system, and paths between drives."""

import ntpath
import os
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.annotations.writers.file_names import names_of_recordings
from earful.system import cache_folder, file_names, folded_name, portable_name, relative_path

RESERVED = ("con", "NUL.wav", "Com1.tar.gz", "lpt9", "AUX .txt", "PRN", "conin$")


@pytest.mark.parametrize("name", RESERVED)
def test_a_device_is_no_file(name: str) -> None:
    assert portable_name(name).partition(".")[0].endswith("_")
    assert portable_name(f"x{name}") == f"x{name}"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("night.wav", "night.wav"),
        ("2026-05-04 04:30.wav", "2026-05-04 04_30.wav"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
        ("a\\b/c\0d\x1f", "a_b_c_d_"),
        ("dots...", "dots..._"),
        ("blank ", "blank _"),
        ("", "_"),
        ("Ünïcode 🦉", "Ünïcode 🦉"),
    ],
)
def test_a_name_by_hand(name: str, wanted: str) -> None:
    assert portable_name(name) == wanted


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_portable_name_is_one_and_stays_itself(name: str) -> None:
    found = portable_name(name)
    assert portable_name(found) == found
    assert len(PureWindowsPath(found).parts) == 1
    assert PureWindowsPath(found).name == found
    # The standard library's own opinion of reserved names, in Pythons that have it.
    if hasattr(ntpath, "isreserved"):
        assert not ntpath.isreserved(found)


def test_two_recordings_that_a_mac_takes_for_one_get_two_names() -> None:
    recordings = ["A.wav", "a.wav", "n/CON.wav", "n/con.wav", "x:y.wav", "x?y.wav"]
    found = names_of_recordings(recordings)
    assert len({folded_name(name) for name in found.values()}) == len(recordings)
    assert all(portable_name(name) == name for name in found.values())


def test_from_one_drive_to_another_a_path_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_names, "os", SimpleNamespace(path=ntpath, sep="\\", fspath=os.fspath))
    assert relative_path("C:\\sounds\\dog\\a.wav", "C:\\sounds") == "dog/a.wav"
    assert relative_path("C:\\other\\a.wav", "c:\\sounds\\x") == "../../other/a.wav"
    assert relative_path("D:\\night\\a.wav", "C:\\sounds") == "D:/night/a.wav"
    # Joined to the folder it is found again.
    assert ntpath.normpath(ntpath.join("C:\\sounds", "D:/night/a.wav")) == "D:\\night\\a.wav"


def test_on_linux_the_cache_is_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/earful")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ana")
    assert cache_folder() == Path("/home/ana/.cache/earful")
