"""What publishers' own metadata hold: excerpts in their form, with other content."""

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import Exemplar
from earful.index.datasets import check_dataset, load_dataset, load_declaration
from earful.index.datasets.splits import deal_groups
from tests.support.dataset_layouts import LAYOUTS
from tests.support.dataset_layouts.registry import write_json
from tests.support.sound_files import write_sound, write_text

Trees = Callable[[str], Path]


def read(name: str, root: Path, *, task: str = "", split: str = "") -> list[Exemplar]:
    return [row.exemplar for row in load_dataset(name, root, task=task, split=split)]


def sounds(root: Path, names: Iterable[str]) -> None:
    for name in names:
        write_sound(root / name, 0.5)


# --- rows that a publisher's own file has -----------------------------------------------------


def test_scraped_html_among_wavtext5k_s_tags_costs_the_tags_only(tmp_path: Path) -> None:
    broken = '[\'oars\', <li><i class=""x""></i> <a href=""t.html"">lake</a></li>, \'boat\']'
    rows = [
        f"https://x/{n},https://x/{n}.wav,Title,A sound.,{n}.wav,\"['tag {n}']\"" for n in range(5)
    ]
    rows[3] = f'https://x/3,https://x/3.wav,Title,A boat.,3.wav,"{broken}"'
    head = "view_link,download_link,title,description,fname,tags"
    write_text(tmp_path / "WavText5K.csv", "\n".join([head, *rows]) + "\n")
    sounds(tmp_path, [f"download/{n}.wav" for n in range(5)])
    assert len(read("wavtext5k", tmp_path)) == 5
    assert check_dataset(load_dataset("wavtext5k", tmp_path)).n_unreadable == 0
    tagged = read("wavtext5k", tmp_path, task="tagging")
    assert [one.labels for one in tagged] == [(f"tag {n}",) for n in (0, 1, 2, 4)]
    check = check_dataset(load_dataset("wavtext5k", tmp_path, task="tagging"))
    ((where, why),) = check.unreadable
    assert where == f"{tmp_path / 'WavText5K.csv'}:5"
    assert why.startswith("tags ")
    assert "is not 'literal'" in why
    # The whole set is there for both tasks.
    assert check.size_comparison() == "4,520 short of 4,525 clips"


def question(number: int, answer: str, kind: str = "Audio") -> dict[str, object]:
    return {
        "video_id": f"{number:08}",
        "question_id": number,
        "type": f'["{kind}", "Existential"]',
        "question_content": "Is the <Object> heard all the time?",
        "templ_values": '["oboe"]',
        "question_deleted": 0,
        "anser": answer,
    }


def test_a_question_that_music_avqa_asks_twice_counts_once(tmp_path: Path) -> None:
    asked = [question(n, "yes") for n in range(6)] + [
        question(4, "no"),
        question(7, "two", "Visual"),
    ]
    write_json(tmp_path / "data/json/avqa-val.json", asked)
    sounds(tmp_path, [f"videos/{n:08}.wav" for n in range(8)])
    found = read("music-avqa", tmp_path)
    assert [(one.group, one.answer) for one in found] == [(f"{n:08}", "yes") for n in range(6)]
    check = check_dataset(load_dataset("music-avqa", tmp_path))
    path = tmp_path / "data/json/avqa-val.json"
    again = f"id 'music-avqa:val/4' already occurs at {path}:item 5; the first of them counts"
    assert check.unreadable == ((f"{path}:item 7", again),)
    # The official size counts the questions of all kinds, and the repeated one.
    (val,) = [split for split in check.splits if split.name == "val"]
    assert (val.n_rows, val.n_whole_rows) == (6, 8)
    assert val.size_comparison() == "4,587 short of 4,595 rows"
    assert len(read("music-avqa", tmp_path, task="audio vision question answering")) == 7
    # The corrected files are read where both are there.
    write_json(tmp_path / "data/json_update/avqa-val.json", asked[:6])
    corpus = load_dataset("music-avqa", tmp_path)
    assert corpus.unread_files == (("data/json/avqa-val.json", "data/json_update/avqa-val.json"),)


OMG = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


def test_omg_emotion_s_videos_are_one_group_under_all_their_names(tmp_path: Path) -> None:
    link = "https://www.youtube.com/watch?v=AbCdEfGhIjK"
    rows = [f"{link},{n}.0,{n}.9,7a1b_{n},utterance_1.mp4,0.25,-0.125,4" for n in range(6)]
    write_text(tmp_path / "omg_TrainVideos.csv", OMG + "\n".join(rows[:5]) + "\n")
    write_text(tmp_path / "omg_ValidationVideos.csv", OMG + rows[5] + "\n")
    sounds(tmp_path, [f"train/7a1b_{n}/utterance_1.mp4" for n in range(5)])
    sounds(tmp_path, ["validation/7a1b_5/utterance_1.mp4"])
    found = read("omg-emotion", tmp_path)
    assert {(one.group, one.meta["origin"]) for one in found} == {("youtube:AbCdEfGhIjK",) * 2}
    assert Counter(one.split for one in found) == {"train": 5, "validation": 1}
    # A copy has a row without a link at its end.
    with open(tmp_path / "omg_TrainVideos.csv", "a") as file:
        file.write(",1.0,2.0,7a1b_9,utterance_1.mp4,0,0,4\n")
    assert read("omg-emotion", tmp_path) == found
    ((where, why),) = check_dataset(load_dataset("omg-emotion", tmp_path)).unreadable
    assert where == f"{tmp_path / 'omg_TrainVideos.csv'}:7"
    assert why.startswith("link '' is not ")


@pytest.mark.parametrize("column", ["song_id", "track_id"])
def test_both_heads_of_medley_solos_db_are_read(column: str, tmp_path: Path) -> None:
    LAYOUTS["medley-solos-db"](tmp_path)
    table = tmp_path / "Medley-solos-DB_metadata.csv"
    table.write_text(table.read_text().replace("song_id", column))
    assert [one.group for one in read("medley-solos-db", tmp_path)] == [
        "song 0",
        "song 7",
        "song 8",
    ]
    table.write_text(table.read_text().replace(column, "piece"))
    with pytest.raises(CorpusError) as caught:
        read("medley-solos-db", tmp_path)
    assert str(caught.value).startswith(f"{table}:2: has no column 'song_id'; found subset")
    assert str(caught.value).count(f"{table}:2") == 1


@pytest.mark.parametrize(
    "header",
    [
        "# Segments csv\n# num_ytids=2\n# YTID, start_seconds, end_seconds, positive_labels\n",
        "# YTID, start_seconds, end_seconds, positive_labels\n",
        "YTID,start_seconds,end_seconds,positive_labels\n",
        "",
    ],
)
def test_audioset_s_segments_are_read_under_every_header(header: str, tmp_path: Path) -> None:
    LAYOUTS["audioset"](tmp_path)
    table = tmp_path / "balanced_train_segments.csv"
    rows = [line for line in table.read_text().splitlines(keepends=True) if line[0] != "#"]
    table.write_text(header + "".join(rows))
    found = read("audioset", tmp_path, split="balanced")
    assert [(one.id, one.labels) for one in found] == [
        ("audioset:-AbCdEfGhIj_420", ("Keys, jangling", "Car"))
    ]
    check = check_dataset(load_dataset("audioset", tmp_path))
    assert [split.size_comparison() for split in check.splits if split.n_rows] == [
        "22,159 short of 22,160 clips",
        "20,370 short of 20,371 clips",
    ]


@pytest.mark.parametrize("head", ["clip_id", "segment_id", ""])
def test_strong_labels_are_read_under_every_header(head: str, tmp_path: Path) -> None:
    LAYOUTS["audioset-strong"](tmp_path)
    table = tmp_path / "audioset_train_strong.tsv"
    first, *rows = table.read_text().splitlines(keepends=True)
    first = first.replace("segment_id", head) if head else ""
    if head == "clip_id":
        first = first.replace("label", "MID")
    table.write_text(first + "".join(rows))
    assert [one.labels for one in read("audioset-strong", tmp_path)] == [("Car", "Cheering")]


def test_clips_that_no_list_of_sounddescs_names_are_passed_over(tmp_path: Path) -> None:
    LAYOUTS["sounddescs"](tmp_path)
    path = tmp_path / "sounddescs_data/descriptions.pkl"
    path.write_bytes(
        pickle.dumps({"07051146": "Rain.", "nhu05102079": "A bird.", "nhu1-4": "A frog."})
    )
    write_sound(tmp_path / "audios/nhu1-4.wav")
    # While a list is missing, nobody knows.
    assert [one.split for one in read("sounddescs", tmp_path)] == ["train", "test", ""]
    write_text(tmp_path / "data/SoundDescs/val_list.txt", "\n")
    assert [one.split for one in read("sounddescs", tmp_path)] == ["train", "test"]
    check = check_dataset(load_dataset("sounddescs", tmp_path))
    assert check.unlisted == ((f"{path}:nhu1-4", "is named by no list of a split"),)
    assert [split.name for split in check.splits] == ["train", "test", "val"]


# --- splits of our own ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("tess", {"train": 1, "test": 1}),
        ("emov-db", {"train": 3, "test": 1}),
        ("jl-corpus", {"train": 3, "test": 1}),
        ("ravdess", {"train": 17, "test": 7}),
        ("crema-d", {"train": 64, "validation": 9, "test": 18}),
    ],
)
def test_own_splits_hold_their_shares(name: str, sizes: dict[str, int]) -> None:
    rule = load_declaration(name).split
    assert Counter(deal_groups(rule.groups, rule.shares).values()) == sizes
    assert rule.describe().startswith("ours, as the publisher has none: train ")


def test_a_part_of_the_actors_is_dealt_as_all_of_them(tmp_path: Path) -> None:
    names = [
        f"Actor_{n:02d}/03-0{song}-06-01-02-01-{n:02d}.wav" for n in (1, 9, 24) for song in (1, 2)
    ]
    sounds(tmp_path / "some", names)
    sounds(
        tmp_path / "all",
        [*names, *(f"Actor_{n:02d}/03-01-06-01-02-01-{n:02d}.wav" for n in range(1, 25))],
    )
    dealt = {one.group: one.split for one in read("ravdess", tmp_path / "all")}
    assert Counter(dealt.values()) == {"train": 17, "test": 7}
    song = "emotion classification of song"
    for task in ("emotion classification", song):
        for one in read("ravdess", tmp_path / "some", task=task):
            assert one.split == dealt[one.group]


# --- official sizes ---------------------------------------------------------------------------


def test_sizes_are_those_of_all_tasks(tmp_path: Path) -> None:
    names = [f"Actor_01/03-0{song}-0{e}-01-02-01-01.wav" for song in (1, 2) for e in range(1, 6)]
    sounds(tmp_path, names)
    for task in ("emotion classification", "emotion classification of song"):
        check = check_dataset(load_dataset("ravdess", tmp_path, task=task))
        assert (check.n_rows, check.n_clips, check.n_whole_clips, check.n_unnamed) == (5, 5, 10, 0)
        assert check.size_comparison() == "2,442 short of 2,452 clips, unverified"


@pytest.mark.slow
def test_what_is_left_out_as_broken_is_no_gap(tmp_path: Path) -> None:
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode\n"
    # Two of the 2,610 are known as bad.
    spoken = [(d, 0) for d in range(2608 + 1) if d != 220] + [(38, 4), (220, 0)]
    rows = "".join(f"{n},Oh.,Ross,joy,positive,{d},{u},8,21\n" for n, (d, u) in enumerate(spoken))
    write_text(tmp_path / "test_sent_emo.csv", head + rows)
    folder = tmp_path / "output_repeated_splits_test"
    write_sound(folder / "dia0_utt0.wav", 0.1)
    for d, u in spoken[1:]:
        (folder / f"dia{d}_utt{u}.wav").symlink_to("dia0_utt0.wav")
    check = check_dataset(load_dataset("meld", tmp_path))
    (test,) = [split for split in check.splits if split.name == "test"]
    assert test.size_comparison() == "all 2,610 clips, 2 of them left out as broken"
    assert (test.n_rows, check.n_unnamed) == (2608, 0)
    assert set(check.known_bad) == {"test/dia38_utt4", "test/dia220_utt0"}


@pytest.mark.slow
def test_a_whole_copy_of_another_version_is_whole(tmp_path: Path) -> None:
    asked = [question(n, "yes") for n in range(4568)]
    write_json(tmp_path / "data/json_update/avqa-val.json", asked)
    check = check_dataset(load_dataset("music-avqa", tmp_path))
    (val,) = [split for split in check.splits if split.name == "val"]
    assert val.size_comparison() == "all 4,568 rows (the corrected files)"


def test_gtzan_s_broken_file_is_left_out_where_it_is_broken(tmp_path: Path) -> None:
    sounds(tmp_path, ["genres/jazz/jazz.00054.wav", "genres/jazz/jazz.00055.wav"])
    assert len(read("gtzan", tmp_path)) == 2
    write_text(tmp_path / "genres/jazz/jazz.00054.wav", "not audio")
    check = check_dataset(load_dataset("gtzan", tmp_path))
    assert (check.n_rows, set(check.known_bad), check.n_unnamed) == (1, {"jazz.00054"}, 0)
    assert check.size_comparison() == (
        "998 short of 1,000 clips, unverified, 1 of them left out as broken"
    )


# --- names and places -------------------------------------------------------------------------


def test_labels_keep_their_hyphens_where_the_set_has_some(tmp_path: Path) -> None:
    LAYOUTS["fsd50k"](tmp_path)
    truth = tmp_path / "FSD50K.ground_truth"
    for name in ("dev.csv", "eval.csv", "vocabulary.csv"):
        (truth / name).write_text((truth / name).read_text().replace("Guitar", "Hi-hat"))
    assert read("fsd50k", tmp_path, split="eval")[0].labels == ("hi-hat",)


def test_nonspeech7k_s_augmentation_has_one_spelling(tree: Trees) -> None:
    assert {one.meta["augmentation"] for one in read("nonspeech7k", tree("nonspeech7k"))} == {
        "original"
    }


def test_emov_db_is_read_from_folders_of_speakers(tmp_path: Path) -> None:
    sounds(tmp_path, ["bea/amused_1-15_0001.wav", "jenie/neutral_1-28_0002.wav"])
    assert [(one.group, one.labels) for one in read("emov-db", tmp_path)] == [
        ("speaker bea", ("amused",)),
        ("speaker jenie", ("neutral",)),
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_audiocaps_says_which_version_it_read(version: int, tmp_path: Path) -> None:
    folders = {1: "dataset", 2: "dataset2.0"}
    head = "audiocap_id,youtube_id,start_time,caption\n"
    write_sound(tmp_path / "audio/-bCdEfGhIjK.wav")
    for number in range(version, 3):
        write_text(
            tmp_path / folders[number] / "val.csv", head + f"7,-bCdEfGhIjK,0,Version {number}\n"
        )
    corpus = load_dataset("audiocaps", tmp_path)
    assert [row.exemplar.answer for row in corpus] == [f"Version {version}"]
    both = (("dataset2.0/val.csv", "dataset/val.csv"),)
    assert corpus.unread_files == (both if version == 1 else ())


def test_recordings_are_found_beside_the_folder_of_the_tables(tmp_path: Path) -> None:
    LAYOUTS["wavcaps"](tmp_path / "laid")
    (tmp_path / "data").mkdir()
    (tmp_path / "laid/json_files").rename(tmp_path / "data/json_files")
    (tmp_path / "laid/Audio").rename(tmp_path / "Audio")
    corpus = load_dataset("wavcaps", tmp_path)
    found = [row.exemplar for row in corpus]
    assert len(found) == 2
    assert all(corpus.path(one).is_file() for one in found)
    assert [str(one.audio) for one in found][1] == "../Audio/SoundBible/9001.flac"
    check = check_dataset(corpus)
    assert (check.n_missing, check.n_unnamed, check.looked_in) == (0, 0, str(tmp_path))
    # So are those that a path names.
    LAYOUTS["clotho"](tmp_path / "clotho")
    (tmp_path / "clotho/tables").mkdir()
    for table in (tmp_path / "clotho").glob("*.csv"):
        table.rename(tmp_path / "clotho/tables" / table.name)
    assert len(read("clotho", tmp_path / "clotho")) == 5


def test_a_part_that_git_lfs_left_out_stops_no_other(tmp_path: Path) -> None:
    LAYOUTS["wavcaps"](tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90000\n"
    write_text(tmp_path / "json_files/FreeSound/fsd_final.json", pointer)
    corpus = load_dataset("wavcaps", tmp_path)
    assert len(list(corpus)) == 2
    advice = (
        "json_files/FreeSound/fsd_final.json is a Git LFS pointer; fetch it with `git lfs pull`"
    )
    assert advice in corpus.absent
    with pytest.raises(CorpusError, match=r"fsd_final\.json: is a Git LFS pointer, not the file"):
        load_dataset("wavcaps", tmp_path, part="FreeSound")


def test_a_bad_copy_of_a_table_that_may_be_missing_is_not_passed_over(tmp_path: Path) -> None:
    LAYOUTS["fsd50k"](tmp_path)
    info = tmp_path / "FSD50K.metadata/dev_clips_info_FSD50K.json"
    info.write_text(json.dumps({"999760": {"title": "riff"}})[:-5])
    with pytest.raises(CorpusError, match=r"dev_clips_info_FSD50K\.json:item .* is not JSON"):
        read("fsd50k", tmp_path)
    info.unlink()
    assert [one.group for one in read("fsd50k", tmp_path, split="train")] == [""]
