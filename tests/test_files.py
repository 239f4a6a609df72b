import os
from pathlib import Path

import pytest

from earful.files import temporary_name, write_atomically
from tests.support.facilities import has


def test_the_old_file_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, "old\n")
    (tmp_path / temporary_name("run.json")).write_text("left by a killed one")
    synced: list[str] = []
    at_sync: list[bytes] = []
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    def noting(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        at_sync.append(path.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new\n")
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["run.json"]

    monkeypatch.setattr(os, "fsync", noting)
    write_atomically(path, "né\r\n\udcff")
    new = "né\r\n\udcff".encode(errors="surrogatepass")
    assert path.read_bytes() == new
    # Where a folder cannot be opened, none is flushed.
    folders = [(tmp_path.name, new)] if has("O_DIRECTORY") else []
    assert list(zip(synced, at_sync, strict=True)) == [(".run.json.tmp", b"old\n"), *folders]
    assert os.listdir(tmp_path) == ["run.json"]


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "machines.toml"
    path.touch(mode=0o600)
    write_atomically(path, "new\n")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o664)
    write_atomically(path, "newer\n")
    assert path.stat().st_mode & 0o777 == 0o664
