import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earful.errors import IndexBusyError, IndexFolderError, IndexMismatchError
from earful.index import Index, build_index, merge_indexes, verify_index
from earful.index.distributed import shard_of
from earful.index.storage import IndexFolder
from tests.index.distributed.conftest import OPTIONS, assert_same, build_shards, contents
from tests.support.levels import Levels, write_level, write_table


def check_shards(where: Path, data: st.DataObject, n: int) -> None:
    """Build a drawn corpus whole and in shards, and compare what is merged with what is built."""
    rows = []
    for number in range(data.draw(st.integers(1, 8))):
        name = f"{data.draw(st.integers(0, 5))}.wav"
        path = where / "sounds" / name
        if not path.exists():
            write_level(path, data.draw(st.sampled_from([0.1, 0.3, 0.5])))
            if data.draw(st.integers(0, 4)) == 0:
                path.write_bytes(b"no audio at all")
        rows.append(
            {
                "id": f"row {number}",
                "audio": f"sounds/{name}",
                "label": data.draw(st.sampled_from(["dog", "owl"])),
                "not_labels": data.draw(st.sampled_from(["", "", "fox"])),
                "group": data.draw(st.sampled_from(["", "night", "day"])),
            }
        )
    write_table(where / "table.csv", rows)
    build_index(where / "table.csv", where / "whole", embedder=Levels(), options=OPTIONS)
    made = build_shards(where / "table.csv", where, n)
    random.Random(n).shuffle(made)
    report = merge_indexes(made, where / "merged")
    assert_same(where / "merged", where / "whole")
    assert (report.added, report.same, report.missing) == (report.n, 0, ())


@pytest.mark.parametrize("n_examples", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_shards_merged_in_any_order_are_one_build(
    tmp_path_factory: pytest.TempPathFactory, n_examples: int
) -> None:
    @settings(max_examples=n_examples, deadline=None)
    @given(data=st.data(), n=st.integers(1, 5))
    def check(data: st.DataObject, n: int) -> None:
        check_shards(tmp_path_factory.mktemp("any"), data, n)

    check()


def test_a_second_merge_changes_nothing(table: Path, parts: list[Path], tmp_path: Path) -> None:
    merged = tmp_path / "all.index"
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    assert merge_indexes(parts, merged).added == 13
    version = IndexFolder.open(merged).table.version
    report = merge_indexes(parts, merged)
    assert (report.added, report.same, report.n) == (0, 13, 13)
    assert IndexFolder.open(merged).table.version == version
    assert_same(merged, tmp_path / "whole.index")


def test_a_file_that_was_mended_since_is_not_rejected_any_more(
    table: Path, parts: list[Path], tmp_path: Path
) -> None:
    merged = tmp_path / "all.index"
    assert len(merge_indexes(parts, merged).rejected) == 1
    write_level(tmp_path / "sounds/broken.wav", 0.7)
    build_shards(table, tmp_path / "parts", 3)
    report = merge_indexes(parts, merged)
    assert (report.added, report.n, report.rejected) == (1, 14, ())
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    assert_same(merged, tmp_path / "whole.index")


def test_missing_shards_are_refused_unless_that_is_meant(parts: list[Path], tmp_path: Path) -> None:
    merged = tmp_path / "all.index"
    with pytest.raises(IndexFolderError, match=r"1 shard of 3 not given: 2; .* --partial"):
        merge_indexes([parts[0], parts[2]], merged)
    assert not merged.exists()
    report = merge_indexes([parts[0], parts[2]], merged, partial=True)
    assert report.missing == (2,)
    assert report.notes == ("1 shard of 3 left out: merge again with it when built",)
    rest = merge_indexes(parts, merged)
    assert (rest.same, rest.n, rest.missing) == (report.added, 13, ())


def test_shards_that_do_not_belong_together_are_refused(
    table: Path, parts: list[Path], tmp_path: Path
) -> None:
    merged = tmp_path / "all.index"
    shutil.copytree(parts[0], tmp_path / "copy.index")
    (half,) = build_shards(table, tmp_path / "other", 1)
    table.write_text(table.read_text().replace(",a,", ",owl,"))
    later = build_shards(table, tmp_path / "later", 3)
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    refused: list[tuple[Sequence[Path], str]] = [
        ([*parts, tmp_path / "copy.index"], "is shard 1/3, and so is"),
        ([*parts, parts[0]], "is given twice"),
        ([*parts[:2], later[2]], "was built from another table"),
        ([*parts, half], "is one of 1 shards, and"),
        ([*parts, tmp_path / "whole.index"], "is no shard, and"),
        ([*parts, merged], "no such folder"),
        ([], "no indexes to merge"),
    ]
    for given_parts, message in refused:
        with pytest.raises(IndexFolderError, match=message):
            merge_indexes(given_parts, merged)
    with pytest.raises(IndexFolderError, match="is a part and the merged index"):
        merge_indexes(parts, parts[0])
    with pytest.raises(IndexFolderError, match="is shard 1/3 itself"):
        merge_indexes(parts, tmp_path / "copy.index")
    assert not merged.exists()


def test_parts_of_another_embedder_are_refused(parts: list[Path], tmp_path: Path) -> None:
    IndexFolder.create(tmp_path / "other.index", Levels(dim=3).fingerprint)
    with pytest.raises(IndexMismatchError, match=r"is by .*, and .* by .*dim.*build one of them"):
        merge_indexes([*parts, tmp_path / "other.index"], tmp_path / "all.index")
    IndexFolder.create(tmp_path / "scored.index", Levels().fingerprint, n_classes=3)
    with pytest.raises(IndexMismatchError, match=r"has 3 class scores a row, and .* has none"):
        merge_indexes([*parts, tmp_path / "scored.index"], tmp_path / "all.index")
    assert not (tmp_path / "all.index").exists()


def test_a_damaged_part_is_refused_before_anything_is_written(
    parts: list[Path], tmp_path: Path
) -> None:
    file = max(parts[2].glob("table/*/data/*"), key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexFolderError, match="is damaged, its bytes are not those"):
        merge_indexes(parts, tmp_path / "all.index")
    assert not (tmp_path / "all.index").exists()


def test_a_part_that_is_being_written_is_refused_and_readers_go_on(
    parts: list[Path], tmp_path: Path
) -> None:
    with IndexFolder.open(parts[1]).writer():
        with pytest.raises(IndexBusyError, match=r"part-2\.index: is being written"):
            merge_indexes(parts, tmp_path / "all.index")
        assert len(Index.open(parts[1]).vectors().exemplars) > 0
    assert not (tmp_path / "all.index").exists()


def test_a_merge_goes_on_where_it_ended(
    table: Path, parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = tmp_path / "all.index"
    build_index(table, tmp_path / "whole.index", embedder=Levels(), options=OPTIONS)
    add, n_commits = IndexFolder.add_batches, []

    def stop(folder: IndexFolder, batches: object, **more: object) -> None:
        n_commits.append(1)
        if len(n_commits) == 2:
            raise RuntimeError("stopped on purpose")
        add(folder, batches, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("earful.index.distributed.merge._COMMIT_ROWS", 1)
    monkeypatch.setattr(IndexFolder, "add_batches", stop)
    with pytest.raises(RuntimeError, match="stopped on purpose"):
        merge_indexes(parts, merged)
    there = len(contents(merged))
    assert 0 < there < 13
    report = merge_indexes(parts, merged)
    assert (report.added, report.same) == (13 - there, there)
    assert_same(merged, tmp_path / "whole.index")


# --- indexes of several people ---------------------------------------------------------------


def site(folder: Path, name: str, *, level: float, group: str = "", rows: int = 2) -> Path:
    """The index of a site: recordings of its own, of equal names at every site."""
    given = []
    for number in range(rows):
        write_level(folder / name / f"sounds/{number}.wav", level + number / 100)
        given.append({"audio": f"sounds/{number}.wav", "label": "owl", "group": group})
    write_table(folder / name / "table.csv", given)
    index = folder / f"{name}.index"
    build_index(folder / name / "table.csv", index, embedder=Levels(), options=OPTIONS)
    return index


def test_two_sites_of_equal_names_need_a_prefix(tmp_path: Path) -> None:
    sites = [site(tmp_path, name, level=level) for name, level in (("east", 0.2), ("west", 0.6))]
    merged = tmp_path / "all.index"
    with pytest.raises(
        IndexFolderError, match=r"id 'sounds/0.wav' stands for different rows .*2 in "
    ):
        merge_indexes(sites, merged)
    assert not merged.exists()
    report = merge_indexes(sites, merged, prefix=True)
    index = Index.open(merged)
    assert [x.id for x in index.vectors().exemplars] == [
        f"{name}/sounds/{number}.wav" for name in ("east", "west") for number in (0, 1)
    ]
    assert index.roots() == report.roots == (tmp_path / "east", tmp_path / "west")
    assert [path.parent.parent.name for path in index.vectors().paths] == ["east"] * 2 + [
        "west"
    ] * 2
    assert verify_index(index).problems == ()
    assert (merge_indexes(sites, merged, prefix=True).same, len(index)) == (4, 4)


def test_groups_of_two_sites_never_become_one_unseen(tmp_path: Path) -> None:
    sites = [
        site(tmp_path, name, level=level, group="2024-05-01", rows=1)
        for name, level in (("east", 0.2), ("west", 0.6))
    ]
    rows = tmp_path / "west/table.csv"
    shutil.rmtree(sites[1])
    rows.write_text(rows.read_text().replace("sounds/0.wav", "sounds/9.wav"))
    (tmp_path / "west/sounds/0.wav").rename(tmp_path / "west/sounds/9.wav")
    build_index(rows, sites[1], embedder=Levels(), options=OPTIONS)
    with pytest.raises(IndexFolderError, match=r"group '2024-05-01'.* --prefix.* --same-groups"):
        merge_indexes(sites, tmp_path / "all.index")
    merge_indexes(sites, tmp_path / "apart.index", prefix=True)
    merge_indexes(sites, tmp_path / "one.index", same_groups=True)
    apart, one = (Index.open(tmp_path / name).vectors() for name in ("apart.index", "one.index"))
    assert [x.group for x in apart.exemplars] == ["east/2024-05-01", "west/2024-05-01"]
    assert [x.group for x in one.exemplars] == ["2024-05-01"] * 2
    # What was merged knowingly is not asked about again.
    assert merge_indexes(sites, tmp_path / "one.index").same == 2


def test_a_changed_row_of_an_earlier_merge_is_refused(tmp_path: Path) -> None:
    east = site(tmp_path, "east", level=0.2)
    merge_indexes([east], tmp_path / "plain.index")
    merge_indexes([east], tmp_path / "named.index", prefix=True)
    table = tmp_path / "east/table.csv"
    table.write_text(table.read_text().replace("owl", "wren"))
    build_index(table, east, embedder=Levels(), options=OPTIONS)
    for name, prefix in (("plain.index", False), ("named.index", True)):
        before = contents(tmp_path / name)
        with pytest.raises(IndexFolderError, match=r"different rows in .* the merged index"):
            merge_indexes([east], tmp_path / name, prefix=prefix)
        assert contents(tmp_path / name) == before


def test_equal_rows_of_two_parts_are_one_and_others_notes_stay_behind(tmp_path: Path) -> None:
    east = site(tmp_path, "east", level=0.2)
    shutil.copytree(east, tmp_path / "copy.index")
    (east / "labels.jsonl").write_text("")
    report = merge_indexes([east, tmp_path / "copy.index"], tmp_path / "all.index")
    assert (report.added, report.same, report.n) == (2, 2, 2)
    assert "labels.jsonl, what reviewers said, stays there" in report.notes[0]


def test_names_must_differ_for_a_prefix(tmp_path: Path) -> None:
    parts = [site(tmp_path / folder, "east", level=0.2) for folder in ("a", "b")]
    with pytest.raises(IndexFolderError, match="two parts are called 'east'"):
        merge_indexes(parts, tmp_path / "all.index", prefix=True)


def test_a_row_inserted_moves_no_other(table: Path, tmp_path: Path) -> None:
    before = {
        row.id: shard_of(row, 4)
        for row in Index.open(_built(table, tmp_path / "a")).vectors().exemplars
    }
    head, *lines = table.read_text().splitlines()
    soundfile.write(tmp_path / "sounds/new.wav", np.full(400, 0.4, np.float32), 8000)
    table.write_text("\n".join([head, "sounds/new.wav,a,", *lines]))
    after = {
        row.id: shard_of(row, 4)
        for row in Index.open(_built(table, tmp_path / "b")).vectors().exemplars
    }
    assert {id_: shard for id_, shard in after.items() if id_ in before} == before


def _built(table: Path, index: Path) -> Path:
    build_index(table, index, embedder=Levels(), options=OPTIONS)
    return index


def test_a_merge_that_is_done_needs_no_room(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge_indexes(parts[:2], tmp_path / "all.index", partial=True)
    usage = shutil.disk_usage(tmp_path)._replace(free=2000)
    monkeypatch.setattr("earful.index.distributed.merge.shutil.disk_usage", lambda path: usage)
    assert merge_indexes(parts[:2], tmp_path / "all.index", partial=True).added == 0
    with pytest.raises(IndexFolderError, match=r"rows need about .* bytes and the disk has 2,000"):
        merge_indexes(parts, tmp_path / "all.index")


def test_shards_keep_the_ids_of_their_corpus(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match=r"shard 1/3 of a corpus.*leave out --prefix"):
        merge_indexes(parts, tmp_path / "all.index", prefix=True)
    assert not (tmp_path / "all.index").exists()
