"""Labels of an index in a store: given at any moment of a fetch, and never lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from earful.errors import IndexFolderError
from earful.index import Index
from earful.index.labels import Label, LabelJournal
from earful.index.remote import FetchReport, Mirror, local_folder
from earful.model import Fingerprint
from earful.object_stores import parse_location
from tests.index.conftest import MakeRow
from tests.index.remote.conftest import Machine

ADDRESS = "s3://sounds/birds.index"


def copy_here() -> Path:
    return Mirror(parse_location(ADDRESS)).folder


def say(name: str) -> None:
    """Label a sound in the copy that this machine has, as a reviewer does at any time."""
    label = Label(
        item="r-1",
        recording="night.wav",
        recording_sha256="",
        start_s=0.0,
        end_s=1.0,
        label=name,
        polarity="positive",
        reviewer="ada",
    )
    LabelJournal(copy_here() / "labels.jsonl").append(label)


def said(folder: Path) -> list[str]:
    found = LabelJournal(folder / "labels.jsonl").read()
    return [one.label for one in found if isinstance(one, Label)]


def fetched() -> tuple[Path, FetchReport]:
    reports: list[FetchReport] = []
    return local_folder(ADDRESS, on_fetch=reports.append), reports[0]


@pytest.fixture
def made(memory: Any, machine: Machine, fingerprint: Fingerprint, make_row: MakeRow) -> Index:
    index = Index.create(ADDRESS, fingerprint)
    index.add([make_row("a")])
    return index


def change_there(machine: Machine, make_row: MakeRow, label: str) -> None:
    """Label a sound and add a row on another machine."""
    machine("there")
    there = Index.open(ADDRESS)
    say(label)
    there.add([make_row("c")])
    machine("here")


@contextmanager
def meanwhile(target: str, then: Callable[[], None]) -> Iterator[None]:
    """Have something happen once, at the first call of a function."""
    import importlib

    module, _, name = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    real, left = getattr(owner, name), [then]

    def call(*args: Any, **kwargs: Any) -> Any:
        if left:
            left.pop()()
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, call)
        yield


@pytest.mark.parametrize(
    "moment",
    [
        "earful.object_stores.store:ObjectStore.download",
        "earful.index.remote.fetching:replace_file",
        "earful.index.remote.mirror:Mirror.stamps",
    ],
)
@pytest.mark.parametrize("before", [[], ["wren"]], ids=["none before", "one before"])
def test_a_label_given_while_others_changes_are_fetched_stays(
    made: Index, machine: Machine, make_row: MakeRow, moment: str, before: list[str]
) -> None:
    for name in before:
        say(name)
    made.add([make_row("b")])
    machine("there")
    Index.open(ADDRESS).add([make_row("c")])
    machine("here")
    # Where files are moved in, the reviewer waits until they are.
    speaking = threading.Thread(target=say, args=("robin",))

    def speak() -> None:
        speaking.start()
        speaking.join(0.5)

    with meanwhile(moment, speak):
        folder, report = fetched()
    speaking.join()
    assert report.set_aside is None
    assert said(folder) == [*before, "robin"]
    made.add([make_row("d")])
    machine("there")
    folder, _ = fetched()
    assert said(folder) == [*before, "robin"]
    assert [row.id for row in Index.open(folder).vectors().exemplars] == ["a", "b", "c", "d"]


def test_labels_of_both_sides_are_kept_apart_and_none_is_lost(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    change_there(machine, make_row, "wren")
    with meanwhile("earful.object_stores.store:ObjectStore.download", lambda: say("robin")):
        folder, report = fetched()
    assert said(folder) == ["wren"]
    assert report.set_aside is not None
    assert said(report.set_aside) == ["robin"]


def test_a_writer_is_refused_rather_than_a_label_lost(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    change_there(machine, make_row, "wren")
    say("robin")
    with pytest.raises(IndexFolderError, match="run the command again, which keeps them apart"):
        made.add([make_row("d")])
    assert said(copy_here()) == ["robin"]


def test_a_label_given_after_a_kill_in_the_midst_of_a_fetch_stays(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    say("wren")
    made.add([make_row("b")])
    change_there(machine, make_row, "robin")

    class KilledError(BaseException):
        pass

    def kill() -> None:
        raise KilledError

    with meanwhile("earful.index.remote.mirror:Mirror.stamps", kill), pytest.raises(KilledError):
        local_folder(ADDRESS)
    say("owl")
    folder, report = fetched()
    assert report.n_unpublished == 1
    assert said(folder) == ["wren", "robin", "owl"]


def test_an_unpublished_label_does_not_hold_back_what_others_wrote(
    made: Index, machine: Machine, make_row: MakeRow
) -> None:
    machine("there")
    Index.open(ADDRESS).add([make_row("c")])
    machine("here")
    say("robin")
    made.refresh()
    assert [row.id for row in made.vectors().exemplars] == ["a", "c"]
    assert said(copy_here()) == ["robin"]
