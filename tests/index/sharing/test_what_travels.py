"""What a push says and refuses: paths of this machine, and rows that it does not have."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from earful.errors import SharingError
from earful.index import Index, index_card, pull_index, push_index
from earful.index.storage import MergedShards, Root, ShardMark, index_folder
from earful.model import Fingerprint
from tests.index.conftest import MakeRow

# Of the home: a text, and what is found of it; "" for an innocent one.
TEXTS = {
    "/root": {
        "made with /root/tools/cut.py": "/root",
        "/root": "/root",
        "file:///root/a.wav": "/root",
        "(/root/a.wav)": "/root",
        "sounds of the root/stem": "",
        "https://example.org/root/a.wav": "",
        "tree/root/a.wav": "",
        "/rooted": "",
        "/root-cellar": "",
        "~/root/x": "",
    },
    "/home/ada": {"see /home/ada/a.wav": "/home/ada", "ada/home": ""},
    "/": {"/": "", "wind/rain": ""},
}


@pytest.mark.parametrize(
    ("home", "text", "found"),
    [(home, text, found) for home, texts in TEXTS.items() for text, found in texts.items()],
)
def test_a_folder_of_this_machine_stops_a_push(
    home: str,
    text: str,
    found: str,
    fingerprint: Fingerprint,
    make_row: MakeRow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    row = make_row("a")
    index = Index.create(tmp_path / "sounds.index", fingerprint)
    index.add([replace(row, exemplar=replace(row.exemplar, meta={"note": text}))])
    place = f"{tmp_path}/hub"
    if not found:
        assert push_index(index, place).sent
        return
    with pytest.raises(SharingError, match=f"holds '{found}', a path of this machine"):
        push_index(index, place)
    assert not Path(place).exists()


def test_a_corpus_root_at_the_top_is_one_too(shared: Index, tmp_path: Path) -> None:
    folder = shared._folder
    folder.header = folder.header.with_root(Root(absolute="/data", relative=""))
    folder.header.write(folder.path)
    (row,) = folder.rows(["zero"]).values()
    shared.add([replace(row, exemplar=replace(row.exemplar, question="Is /data/a.wav a dog?"))])
    with pytest.raises(SharingError, match="its question of row 'zero' holds '/data', a path"):
        push_index(Index.open(shared.path), f"{tmp_path}/hub")


@pytest.mark.parametrize(
    ("mark", "told"),
    [((1, 4, True), "shard 1/4 of it"), ((1, 1, False), "shard 1/1, unfinished of it")],
)
def test_a_shard_says_that_it_is_one(
    shared: Index, tmp_path: Path, mark: tuple[int, int, bool], told: str
) -> None:
    i, n, done = mark
    folder = shared._folder
    folder.write_header(folder.header.with_shard(ShardMark(i=i, n=n, corpus="0" * 64, done=done)))
    index = Index.open(shared.path)
    (first, *_) = push_index(index, f"{tmp_path}/hub").plan.left_out
    assert first.startswith("the other rows of the corpus: this is")
    assert told in first
    assert told in index_card(index).text.replace("`", "")


def test_a_merge_of_some_shards_says_which_it_lacks(shared: Index, tmp_path: Path) -> None:
    folder = shared._folder
    some = MergedShards(n=4, corpus="0" * 64, shards=(1, 3))
    folder.write_header(folder.header.with_merged(some))
    (first, *_) = push_index(Index.open(shared.path), f"{tmp_path}/hub").plan.left_out
    assert first.startswith("the other rows of the corpus: of 4 shards, 2, 4 were not merged")
    folder.write_header(folder.header.with_merged(replace(some, shards=(1, 2, 3, 4))))
    plan = push_index(Index.open(shared.path), f"{tmp_path}/other").plan
    assert not any("shard" in told for told in plan.left_out)


def test_a_shard_that_is_all_says_nothing(shared: Index, tmp_path: Path) -> None:
    folder = shared._folder
    folder.write_header(folder.header.with_shard(ShardMark(i=1, n=1, corpus="0" * 64, done=True)))
    plan = push_index(Index.open(shared.path), f"{tmp_path}/hub").plan
    assert not any("shard" in told for told in plan.left_out)


def test_a_pull_knows_all_that_an_index_may_hold(shared: Index, tmp_path: Path) -> None:
    """Each name that the folder's own description lists, but for what must not be lost."""
    place = f"{tmp_path}/hub"
    push_index(shared, place)
    pulled = pull_index(place, tmp_path / "pulled.index").path
    named = re.findall(r"^        ([a-z_.]+)(/?) ", index_folder.__doc__ or "", re.MULTILINE)
    assert ("segments", "/") in named
    for name, is_folder in named:
        if name == "staging" or (pulled / name).exists():
            continue  # rows that somebody computed, and that are in no table
        (pulled / name).mkdir() if is_folder else (pulled / name).write_text("")
    shared.remove(["nc"])
    push_index(shared, place)
    assert pull_index(place, pulled).removed == 1
    (pulled / "staging").mkdir()
    with pytest.raises(SharingError, match="holds staging beside an index, which would be lost"):
        pull_index(place, pulled, force=True)
