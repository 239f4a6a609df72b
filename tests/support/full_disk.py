"""Changes of an index on a disk that gets full, for ``reliability/test_full_disk.py``.

Runs in a mount namespace of its own, on a disk in memory that it may fill. Every change is
tried with no free page, one, two and so on, until it succeeds: so each of its writes is, in
turn, the one that finds no room. Each try is a fork, so that nothing is held open.
"""

import json
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import lancedb  # noqa: F401 - so that no fork has to import it

from earful.errors import IndexFolderError
from earful.index import Index, verify_index
from earful.index.builder import BuildOptions, build_index
from earful.index.maintenance import repair_index
from tests.support.small_corpus import Samples, write_corpus

warnings.filterwarnings("ignore", message="lancedb fork support")

PAGE = 4096
N_FILES = 12
OPTIONS = BuildOptions(commit_rows=4, batch_clips=4, n_decoders=1)
FULL = 3


def prepare(beside: Path) -> None:
    """Make a corpus, an index of it, and the same with a file less."""
    corpus = write_corpus(beside / "sounds", N_FILES)
    build_index(corpus, beside / "made.index", embedder=Samples(), options=OPTIONS)
    damaged = Path(shutil.copytree(beside / "made.index", beside / "damaged.index"))
    next((damaged / "table/exemplars.lance/data").glob("*")).unlink()
    (beside / "whole.json").write_text(json.dumps(sorted(ids(beside / "made.index"))))


def ids(folder: Path) -> set[str]:
    return {exemplar.id for exemplar in Index.open(folder).vectors().exemplars}


def add(folder: Path, beside: Path) -> None:
    opened = Index.open(beside / "made.index")
    stored = opened._folder.rows([exemplar.id for exemplar in opened.vectors().exemplars[:6]])
    new = [
        replace(row, exemplar=replace(row.exemplar, id=f"new {id_}")) for id_, row in stored.items()
    ]
    Index.open(folder).add(new)


def remove(folder: Path, beside: Path) -> None:
    gone = set(json.loads((beside / "whole.json").read_text())[:5])
    opened = Index.open(folder)
    opened.remove(gone & set(opened._folder.indexed_rows()))


def compact(folder: Path, beside: Path) -> None:
    Index.open(folder).compact()


def build(folder: Path, beside: Path) -> None:
    build_index(beside / "sounds", folder, embedder=Samples(), options=OPTIONS)


def repair(folder: Path, beside: Path) -> None:
    repair_index(folder, beside / "sounds", embedder=Samples(), options=OPTIONS)


CHANGES: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "add": ("made.index", add),
    "remove": ("made.index", remove),
    "compact": ("made.index", compact),
    "build": ("none.index", build),
    "repair": ("damaged.index", repair),
}


def in_fork(work: Callable[[], None]) -> int:
    """Do some work in a fork; return 0, ``FULL`` where it was told so, or 1."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except IndexFolderError as error:
            told = str(error)
            code = FULL if "the disk is full" in told or "No space left" in told else 1
            if code != FULL:
                traceback.print_exc()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fill(disk: Path, n_free_pages: int) -> Path:
    """Leave so many pages free."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(PAGE))
        file.truncate(max(0, file.tell() // PAGE - n_free_pages) * PAGE)
    return path


def check(folder: Path, name: str, whole: set[str], *, done: bool) -> None:
    """See that an index has all rows it had before or all it was to have, and goes on."""
    wanted = {
        "add": whole | {f"new {id_}" for id_ in sorted(whole)[:6]},
        "remove": set(sorted(whole)[5:]),
    }.get(name, whole)
    found = ids(folder)
    # A build commits some rows at a time; a damaged index has lost some before.
    assert found in (whole, wanted), found
    assert not done or found == wanted
    if done:
        problems = verify_index(Index.open(folder)).problems
        assert problems == (), problems


def try_until_it_succeeds(name: str, disk: Path, beside: Path, whole: set[str]) -> int:
    """Return how many tries found the disk full; each was one error and lost nothing."""
    pristine, change = CHANGES[name]
    folder = disk / "sounds.index"
    n_full = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if (beside / pristine).exists():
            shutil.copytree(beside / pristine, folder)
        filler = fill(disk, n_full)
        code = in_fork(lambda: change(folder, beside))
        filler.unlink()
        if code == FULL:
            n_full += 1
            # One that was damaged, or not there, need not open yet.
            if name in ("add", "remove", "compact"):
                assert in_fork(lambda: check(folder, name, whole, done=False)) == 0, (name, n_full)
            assert in_fork(lambda: change(folder, beside)) == 0, (name, n_full)
        else:
            assert code == 0, (name, n_full)
        assert in_fork(lambda: check(folder, name, whole, done=True)) == 0, (name, n_full)
        if code == 0:
            return n_full


def main(disk: Path, beside: Path) -> None:
    assert in_fork(lambda: prepare(beside)) == 0
    whole = set(json.loads((beside / "whole.json").read_text()))
    # What asks first whether there is room would refuse before the disk does.
    free = shutil.disk_usage(disk)._replace(free=2**40)
    shutil.disk_usage = lambda path: free
    print(json.dumps({name: try_until_it_succeeds(name, disk, beside, whole) for name in CHANGES}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
