"""Writing a folder whole or not at all, whatever stands in its place."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from earful.errors import ModelError
from earful.model.flamingo.checkpoint import (
    FolderWriter,
    load_flamingo,
    open_flamingo_folder,
    verify_flamingo_folder,
)
from earful.model.flamingo.checkpoint import writer as flamingo_writer
from earful.model.runtime import models_home
from earful.system import FileLock
from earful.testing import write_flamingo


@contextmanager
def no_room_beyond(n_bytes: int) -> Iterator[None]:
    """Let no file grow larger, as a full disk would not."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir() if path != folder)


def test_a_full_disk_is_said_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    before = open_flamingo_folder(folder).weights_sha256
    with no_room_beyond(10_000), pytest.raises(ModelError, match=r"flamingo: cannot be written"):
        write_flamingo(folder, seed=1)
    assert open_flamingo_folder(folder).weights_sha256 == before
    assert verify_flamingo_folder(folder) == ()
    monkeypatch.setattr(flamingo_writer, "_SHARD_BYTES", 20_000)
    with (
        no_room_beyond(10_000),
        FolderWriter(tmp_path / "other", dtype="float32") as writer,
        pytest.raises(ModelError, match=r"other: cannot be written"),
    ):
        writer.add("decoder.norm.weight", torch.zeros(20_000))
    assert leftovers(folder) == []


def test_an_old_conversion_is_replaced_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    before = open_flamingo_folder(folder).weights_sha256
    replace = os.replace

    def fail_in_the_end(source: Path, target: Path) -> None:
        if source.suffix == ".partial":
            raise OSError(5, "Input/output error")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail_in_the_end)
        with pytest.raises(ModelError, match=r"cannot be written \(Input/output error\)"):
            write_flamingo(folder, seed=1)
    assert open_flamingo_folder(folder).weights_sha256 == before
    write_flamingo(folder, seed=1)
    assert open_flamingo_folder(folder).weights_sha256 != before
    assert leftovers(folder) == []


@pytest.mark.parametrize("n_renames", [0, 1, 2, 3])
def test_stopped_at_any_rename_the_old_or_the_new_folder_is_there_or_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_renames: int
) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    old = open_flamingo_folder(folder).weights_sha256
    new = open_flamingo_folder(write_flamingo(tmp_path / "new", seed=1)).weights_sha256
    stop_after(n_renames, folder, monkeypatch)
    if n_renames == 1:
        with pytest.raises(ModelError, match=r"stopped while it was replacing.*flamingo\.old"):
            load_flamingo(str(folder))
        with pytest.raises(ModelError, match="nothing more than that"), writer_of(folder):
            raise ModelError("nothing more than that")
    found = open_flamingo_folder(folder).weights_sha256
    assert found == (old if n_renames < 2 else new)
    assert verify_flamingo_folder(folder) == ()
    write_flamingo(folder, seed=2)
    assert verify_flamingo_folder(folder) == ()
    assert open_flamingo_folder(folder).weights_sha256 not in (old, new)
    assert leftovers(folder) == ["new"]


def test_a_fetched_model_that_is_being_replaced_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path))
    folder = write_flamingo(models_home() / "audio-flamingo-chat")
    stop_after(1, folder, monkeypatch)
    with pytest.raises(ModelError, match=r"stopped while it was replacing .*run it again"):
        load_flamingo("audio-flamingo-chat")


def stop_after(n_renames: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Convert anew, and stop as a kill would: with nothing tidied up."""
    replace = os.replace
    renames: list[Path] = []

    def stop(source: Path, target: Path) -> None:
        if folder in (source, target) or source.suffix == ".old":
            if len(renames) == n_renames:
                raise KeyboardInterrupt
            renames.append(target)
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stop)
        patched.setattr(FolderWriter, "__exit__", lambda writer, *_: writer._lock.release())
        if n_renames < 3:
            with pytest.raises(KeyboardInterrupt):
                write_flamingo(folder, seed=1)
        else:
            write_flamingo(folder, seed=1)
    assert len(renames) == n_renames


def writer_of(folder: Path) -> FolderWriter:
    return FolderWriter(folder, dtype="float32")


def test_two_conversions_at_once_do_not_write_into_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "flamingo"
    with writer_of(folder):
        with pytest.raises(ModelError, match=r"flamingo: another process is writing it; wait"):
            write_flamingo(folder)
        with pytest.raises(ModelError, match=r"another process is writing it"):
            write_flamingo(folder)
    write_flamingo(folder)
    assert verify_flamingo_folder(folder) == ()


def test_who_comes_as_the_first_has_just_finished_writes_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "flamingo"
    acquire = FileLock.acquire

    def finished_meanwhile(lock: FileLock) -> bool:
        (tmp_path / ".flamingo.partial").rename(folder)
        return acquire(lock)

    monkeypatch.setattr(FileLock, "acquire", finished_meanwhile)
    write_flamingo(folder)
    assert verify_flamingo_folder(folder) == ()
    assert os.listdir(tmp_path) == ["flamingo"]


def test_everything_is_on_the_disk_before_it_counts(
    tmp_path: Path, watch_disk: Callable[[], list[str]]
) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    events = watch_disk()
    write_flamingo(folder, seed=1)
    first = events.index("rename .flamingo.old")
    assert set(events[:first]) >= {f"sync {x}" for x in os.listdir(folder)}
    assert events[first - 1] == "sync .flamingo.partial"
    assert events[-1] == f"sync {tmp_path.name}"


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match=r"old conversion .*'thesis\.txt'"):
        write_flamingo(folder, seed=1)
    assert (folder / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ModelError, match="holds something else"):
        write_flamingo(tmp_path / "file")
    with pytest.raises(ModelError, match=r"dtype 'int8', expected float32"):
        FolderWriter(tmp_path / "none", dtype="int8")  # type: ignore[arg-type]
    assert leftovers(folder) == ["file"]


def test_a_damaged_conversion_is_mended_by_the_next(tmp_path: Path) -> None:
    folder = write_flamingo(tmp_path / "flamingo")
    (folder / "digests.json").unlink()
    (tmp_path / ".flamingo.partial").mkdir()
    (tmp_path / ".flamingo.partial" / "shard-00000").write_bytes(b"left by a killed one")
    write_flamingo(folder)
    assert verify_flamingo_folder(folder) == ()
    assert leftovers(folder) == []


def test_the_folder_one_stands_in_and_a_link_are_folders_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_flamingo(".")
    assert verify_flamingo_folder(tmp_path / "here") == ()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    write_flamingo(tmp_path / "link", seed=1)
    assert (tmp_path / "link").is_symlink()
    assert verify_flamingo_folder(tmp_path / "here") == ()
    assert leftovers(tmp_path / "here") == ["link"]


def test_shards_are_named_and_listed_as_a_hub_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_flamingo(tmp_path / "whole")
    monkeypatch.setattr(flamingo_writer, "_SHARD_BYTES", 100_000)
    folder = write_flamingo(tmp_path / "shards")
    shards = sorted(folder.glob("model-*.safetensors"))
    n = len(shards)
    assert n > 2
    assert [x.name for x in shards] == [
        f"model-{k:05d}-of-{n:05d}.safetensors" for k in range(1, n + 1)
    ]
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    held: dict[str, str] = {}
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            held |= dict.fromkeys(file.keys(), shard.name)
    assert index["weight_map"] == held
    one, many = (open_flamingo_folder(x).load_model(device="cpu") for x in (whole, folder))
    wanted = one.state_dict()
    assert index["metadata"]["total_size"] == sum(x.nbytes for x in wanted.values())
    for name, tensor in many.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    shutil.copy(shards[0], shards[1])
    assert [x.split(":")[0] for x in verify_flamingo_folder(folder)] == [
        f"{shards[1].name} has changed"
    ]
    shards[1].unlink()
    with pytest.raises(ModelError, match=rf"{shards[1].name} is missing"):
        load_flamingo(str(folder), device="cpu")
