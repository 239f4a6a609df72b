"""Traps of datasets: each is reported once, with its file and row, or handled."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.datasets import check_dataset, load_dataset, load_declaration
from earful.index.datasets.splits import deal_groups
from tests.support.dataset_layouts import LAYOUTS
from tests.support.sound_files import write_sound

Trees = Callable[[str], Path]


def own(name: str, root: Path) -> Path:
    """Lay a tree out that a test may break."""
    root.mkdir(parents=True, exist_ok=True)
    LAYOUTS[name](root)
    return root


def refusal(name: str, root: Path, *, split: str = "", task: str = "", part: str = "") -> str:
    with pytest.raises(CorpusError) as caught:
        list(load_dataset(name, root, split=split, task=task, part=part))
    return str(caught.value)


def test_a_wrong_root_says_what_was_wanted_and_what_lies_there(tree: Trees) -> None:
    message = refusal("fsd50k", tree("nsynth"))
    assert "is not FSD50K: expected FSD50K.ground_truth/dev.csv" in message
    assert "found nsynth-train" in message
    assert "earful datasets show fsd50k" in message
    assert "is no folder" in refusal("fsd50k", tree("nsynth") / "nowhere")


def test_unknown_names_are_reported_with_those_there_are(tree: Trees) -> None:
    with pytest.raises(CorpusError, match=r"no dataset 'fsd50' \(did you mean 'fsd50k'"):
        load_declaration("fsd50")
    root = tree("nsynth")
    assert "no split 'tst'; it has train, valid, test" in refusal("nsynth", root, split="tst")
    assert "no task 'genre'; it has instrument classification" in refusal(
        "nsynth", root, task="genre"
    )
    assert "no part 'MSDD'; it has MSD, MTT, MC" in refusal(
        "lp-musiccaps", tree("lp-musiccaps"), part="MSDD"
    )


def test_a_missing_column_is_reported_with_the_row(tmp_path: Path) -> None:
    root = own("urbansound8k", tmp_path)
    table = root / "UrbanSound8K/metadata/UrbanSound8K.csv"
    table.write_text(table.read_text().replace("fold,", "fould,"))
    message = refusal("urbansound8k", root)
    assert message.startswith(f"{table}:2: has no column 'fold'; found slice_file_name")


def test_a_label_outside_the_vocabulary_is_reported_with_the_row(tmp_path: Path) -> None:
    root = own("urbansound8k", tmp_path)
    table = root / "UrbanSound8K/metadata/UrbanSound8K.csv"
    table.write_text(table.read_text().replace(",siren", ",sirene"))
    assert f"{table}:3: label 'sirene' is none of the 10" in refusal("urbansound8k", root)
    # So is one of a vocabulary that the dataset itself brings.
    root = own("fsd50k", tmp_path / "fsd50k")
    table = root / "FSD50K.ground_truth/eval.csv"
    table.write_text(table.read_text().replace("Guitar", "Gitar"))
    assert f"{table}:2: label 'Gitar' is none of the 3" in refusal("fsd50k", root)


def test_an_id_that_occurs_twice_is_reported_with_both_rows(tmp_path: Path) -> None:
    root = own("urbansound8k", tmp_path)
    table = root / "UrbanSound8K/metadata/UrbanSound8K.csv"
    rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*rows, rows[1]]))
    message = refusal("urbansound8k", root)
    assert message.startswith(f"{table}:4: id 'urbansound8k:999001-3-0-0.wav' already occurs at")
    assert f"{table}:2;" in message


def test_a_broken_line_of_json_in_the_middle_is_reported(tmp_path: Path) -> None:
    root = own("wavcaps", tmp_path)
    path = root / "json_files/SoundBible/sb_final.json"
    item = json.dumps({"id": "1", "caption": "x"})
    path.write_text(f'{{"data": [{item}, {item[:-4]}, {item}]}}')
    assert f"{path}:item 2: is not JSON" in refusal("wavcaps", root, part="SoundBible")


def test_a_row_of_a_table_with_too_many_fields_is_reported(tmp_path: Path) -> None:
    root = own("medley-solos-db", tmp_path)
    table = root / "Medley-solos-DB_metadata.csv"
    table.write_text(table.read_text().replace("test,clarinet", "test,bass,clarinet"))
    assert f"{table}:2: has 6 fields; expected 5: subset" in refusal("medley-solos-db", root)


def test_a_wrong_encoding_is_reported(tmp_path: Path) -> None:
    declaration = tmp_path / "strict.toml"
    declaration.write_text(
        """title = "Strict"
audio_form = "files"
id = "{name}"
[[read]]
reader = "table"
files = ["list.csv"]
encodings = ["utf-8"]
[audio]
path = ["{name}"]
[[emit]]
task = "t"
"""
    )
    (tmp_path / "list.csv").write_bytes("name\ncaf\xe9.wav\n".encode("latin-1"))
    assert "list.csv: is not utf-8" in refusal(str(declaration), tmp_path)


@pytest.mark.parametrize("name", ["../../outside.mp3", "/etc/hostname", "a/../../../outside.mp3"])
def test_a_path_out_of_the_root_is_refused(name: str, tmp_path: Path) -> None:
    root = own("mtg-jamendo", tmp_path / "root")
    write_sound(tmp_path / "outside.mp3")
    path = root / "data/splits/split-0/autotagging-train.tsv"
    path.write_text(path.read_text().replace("14/9000214.mp3", name))
    message = refusal("mtg-jamendo", root)
    assert f"autotagging-train.tsv:2: audio {name!r} lies outside" in message


def test_a_link_out_of_the_root_takes_a_word(tmp_path: Path) -> None:
    root = own("musicqa", tmp_path / "root")
    shutil.move(root / "audios", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", root / "audios")
    assert "pass --allow-outside" in refusal("musicqa", root)
    assert len(list(load_dataset("musicqa", root, allow_outside=True))) == 2


def test_a_pickle_with_anything_else_in_it_is_refused(tmp_path: Path) -> None:
    root = own("sounddescs", tmp_path)
    path = root / "sounddescs_data/descriptions.pkl"
    path.write_bytes(pickle.dumps({"07051146": os.system}, protocol=2))
    message = refusal("sounddescs", root)
    assert f"{path}: is refused" in message
    assert "system is not allowed" in message


def test_a_pointer_of_git_lfs_is_missing_and_says_why(tree: Trees) -> None:
    found = check_dataset(load_dataset("crema-d", tree("crema-d")))
    assert found.n_missing == 1
    assert "git lfs pull" in found.missing[0][1]


def two_places(root: Path, train: bytes, test: bytes, *, folders: tuple[str, str]) -> Path:
    """AudioCaps with one row of each of two splits, whose clip lies in two folders."""
    head = "audiocap_id,youtube_id,start_time,caption\n"
    for number, split in enumerate(("train", "test")):
        path = root / f"dataset/{split}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{head}{number},tZ000000001,30,A dog barks\n")
    for folder, data in zip(folders, (train, test), strict=True):
        (root / folder).mkdir(parents=True)
        (root / folder / "YtZ000000001.wav").write_bytes(data)
    return root


def test_a_clip_in_two_folders(tmp_path: Path) -> None:
    write_sound(tmp_path / "one.wav")
    one = (tmp_path / "one.wav").read_bytes()
    other = one[:-2] + b"\1\1"  # as long
    # In folders of splits each row has its own.
    root = two_places(tmp_path / "a", one, other, folders=("wavs/train", "wavs/test"))
    corpus = load_dataset("audiocaps", root)
    audio = {row.exemplar.split: str(row.exemplar.audio) for row in corpus}
    assert audio == {f"{x}": f"wavs/{x}/YtZ000000001.wav" for x in ("train", "test")}
    check = check_dataset(corpus)
    assert (check.n_missing, check.n_ambiguous, check.n_unnamed) == (0, 0, 0)
    # Elsewhere equal bytes are one recording.
    root = two_places(tmp_path / "b", one, one, folders=("wavs/x", "wavs/y"))
    check = check_dataset(load_dataset("audiocaps", root))
    assert (check.n_missing, check.n_ambiguous, check.n_unnamed) == (0, 0, 0)
    assert check.n_clips == 1
    # And others are told apart from those that are not there.
    root = two_places(tmp_path / "c", one, other, folders=("wavs/x", "wavs/y"))
    passed: list[tuple[str, str]] = []
    corpus = load_dataset("audiocaps", root)
    corpus.on_missing = lambda where, why: passed.append((where, why))
    check = check_dataset(corpus)
    assert (check.n_missing, check.n_ambiguous, check.n_unnamed) == (0, 2, 0)
    assert check.ambiguous == tuple(passed)
    why = check.ambiguous[0][1]
    assert (why.count("wavs/x/"), why.count("wavs/y/"), "which differ" in why) == (1, 1, True)
    assert check.to_dict()["n_ambiguous"] == 2


def test_ids_without_a_recording_are_counted_by_name(tree: Trees) -> None:
    missing: list[tuple[str, str]] = []
    corpus = load_dataset("audioset", tree("audioset"))
    corpus.on_missing = lambda where, why: missing.append((where, why))
    found = check_dataset(corpus)
    assert found.n_missing == len(missing) == 1
    assert found.missing == tuple(missing)
    assert missing[0][0].endswith("balanced_train_segments.csv:5")
    assert "_gone______" in missing[0][1]
    assert found.absent == ("unbalanced_train_segments.csv",)


def test_known_bad_recordings_are_left_out_and_said(tree: Trees) -> None:
    found = check_dataset(load_dataset("gtzan", tree("gtzan")))
    assert set(found.known_bad) == {"jazz.00054"}


def test_a_long_source_is_cut_and_a_cut_file_is_taken_whole(tree: Trees) -> None:
    spans = {
        str(row.exemplar.audio): (row.exemplar.start_s, row.exemplar.end_s)
        for row in load_dataset("audioset", tree("audioset"))
    }
    assert spans == {
        "audio/-AbCdEfGhIj.flac": (0.0, None),
        "audio/YAbCdEfGhIjK.wav": (2.0, 12.0),
    }


def test_three_annotators_come_together_in_one_question(tree: Trees) -> None:
    rows = [row.exemplar for row in load_dataset("clotho-aqa", tree("clotho-aqa"))]
    waves = [row for row in rows if row.question == "Are there waves?"]
    assert [row.answer for row in waves] == ["yes", "no", "yes"]
    assert {row.meta["agreement"][:5] for row in waves} == {"0.666"}


def test_agreed_rows_count_where_there_are_some_and_the_union_elsewhere(tree: Trees) -> None:
    labels = {
        row.exemplar.split: row.exemplar.labels
        for row in load_dataset("sonyc-ust", tree("sonyc-ust"))
    }
    assert labels == {
        "train": ("small sounding engine", "car horn"),
        # Volunteers heard an engine, too; the agreed truth does not.
        "validate": ("car horn",),
    }


def test_values_that_do_not_fit_a_question_are_reported(tmp_path: Path) -> None:
    root = own("music-avqa", tmp_path)
    path = root / "data/json_update/avqa-test.json"
    path.write_text(path.read_text().replace('\\"cello\\", ', ""))
    message = refusal("music-avqa", root)
    assert "avqa-test.json:item 1:" in message
    assert "has 2 placeholders and 1 values" in message


@pytest.mark.parametrize("n", [2, 3, 4, 24, 91, 2000])
def test_ones_own_split_keeps_groups_together_and_its_shares(n: int) -> None:
    shares = {"train": 0.7, "test": 0.3}
    groups = [f"speaker {number}" for number in range(n)]
    dealt = deal_groups(groups, shares)
    assert dealt == deal_groups(reversed(groups), shares)
    assert set(dealt) == set(groups)
    assert list(dealt.values()).count("train") == pytest.approx(0.7 * n, abs=1)


def test_latin_1_and_blanks_in_names_are_read(tree: Trees) -> None:
    keywords = {row.exemplar.meta["keywords"] for row in load_dataset("clotho", tree("clotho"))}
    assert keywords == {"door;café"}


def test_overlapping_sets_name_a_common_origin(tree: Trees) -> None:
    (cut, *_) = load_dataset("audiocaps", tree("audiocaps"), split="train")
    assert cut.exemplar.meta["origin"] == "youtube:AbCdEfGhIjK"
    whole = [row.exemplar.meta["origin"] for row in load_dataset("audioset", tree("audioset"))]
    assert cut.exemplar.meta["origin"] in whole
    # Clotho says "Not found" of some clips, which is no origin.
    assert "origin" not in next(iter(load_dataset("clotho", tree("clotho")))).exemplar.meta
