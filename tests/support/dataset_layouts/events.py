"""Layouts of datasets of sound events and scenes."""

from __future__ import annotations

from pathlib import Path

from tests.support.dataset_layouts.registry import layout, write_json
from tests.support.sound_files import write_sound, write_text


@layout
def audioset(root: Path) -> None:
    """An id that begins with a hyphen, a name with a comma, a video that is gone."""
    header = (
        "# Segments csv created Sun Mar  5 10:54:25 2017\n"
        "# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=3\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
    )
    write_text(
        root / "balanced_train_segments.csv",
        header
        + '-AbCdEfGhIj, 420.000, 430.000, "/m/03v3yw,/m/0k4j"\n'
        + '_gone______, 0.000, 10.000, "/m/0k4j"\n',
    )
    write_text(root / "eval_segments.csv", header + 'AbCdEfGhIjK, 2.000, 12.000, "/m/0k4j"\n')
    write_text(
        root / "class_labels_indices.csv",
        'index,mid,display_name\n0,/m/03v3yw,"Keys, jangling"\n1,/m/0k4j,Car\n',
    )
    write_sound(root / "audio/-AbCdEfGhIj.flac")
    # The whole video, of which two seconds to twelve are meant.
    write_sound(root / "audio/YAbCdEfGhIjK.wav", 13.5)


@layout
def audioset_strong(root: Path) -> None:
    """An id of a video with underscores; two events of one clip, the later one first."""
    write_text(
        root / "audioset_train_strong.tsv",
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
        "_bC_EfGhIjK_30000\t2.627\t7.237\t/m/053hz1\n"
        "_bC_EfGhIjK_30000\t0.500\t1.000\t/m/0k4j\n",
    )
    write_text(root / "mid_to_display_name.tsv", "/m/053hz1\tCheering\n/m/0k4j\tCar\n")
    write_sound(root / "audio/_bC_EfGhIjK_30000.flac")


@layout
def fsd50k(root: Path) -> None:
    """Labels in quotes, a vocabulary without a header, clips of both halves."""
    truth = root / "FSD50K.ground_truth"
    write_text(
        truth / "dev.csv",
        "fname,labels,mids,split\n"
        '999760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train\n'
        "999761,Music,/m/04rlf,val\n",
    )
    write_text(truth / "eval.csv", "fname,labels,mids\n999762,Guitar,/m/0342h\n")
    write_text(
        truth / "vocabulary.csv",
        "0,Electric_guitar,/m/02sgy\n1,Guitar,/m/0342h\n2,Music,/m/04rlf\n",
    )
    write_json(
        root / "FSD50K.metadata/dev_clips_info_FSD50K.json",
        {
            "999760": {"title": "riff", "license": "CC0", "uploader": "someone", "tags": []},
            "999761": {"title": "tune", "license": "CC-BY", "uploader": "another", "tags": []},
        },
    )
    write_json(
        root / "FSD50K.metadata/eval_clips_info_FSD50K.json",
        {"999762": {"title": "pluck", "license": "CC-BY-NC", "uploader": "someone", "tags": []}},
    )
    for name in ("999760", "999761"):
        write_sound(root / f"FSD50K.dev_audio/{name}.wav")
    write_sound(root / "FSD50K.eval_audio/999762.wav")


@layout
def cochlscene(root: Path) -> None:
    """A class whose name begins with another's."""
    for folder, name in (("Train", "Subway"), ("Test", "SubwayStation")):
        write_sound(root / f"CochlScene/{folder}/{name}/{name}_user0807_14976869_001.wav")


@layout
def nonspeech7k(root: Path) -> None:
    """A blank before .csv, two spellings of the header, a misspelled label and type."""
    write_text(
        root / "metadata of train set .csv",
        "\ufeffFilename,File ID,Duration in ms,Class ID,Classname,augmentation  id,"
        "Augmentation  type,source\n999_1_0.wav,999,2310,1,cough,0,Orignal,https://freesound.org/\n",
    )
    write_text(
        root / "metadata of test set.csv",
        "Filename,File_ID,Durationin ms,Class_id,Classname,Augment Id,Augmentation type,source\n"
        "999_2_0.wav,999,2310,6,yawm,0,Original,https://freesound.org/\n",
    )
    write_sound(root / "train/999_1_0.wav")
    write_sound(root / "test/999_2_0.wav")


@layout
def chime_home(root: Path) -> None:
    """A chunk whose vote is empty, one with a code that has no class."""
    folder = root / "chime_home"
    names = [f"CR_lounge_010100_1200.s0_chunk{n}" for n in (9, 10)]
    write_text(
        folder / "development_chunks_refined.csv",
        "".join(f"{n},{x}\n" for n, x in enumerate(names)),
    )
    for name, vote in zip(names, ("cmo", ""), strict=True):
        write_text(
            folder / f"chunks/{name}.csv",
            "segmentname,CR_lounge_010100_1200.s0\nchunknumber,9\nannotation_a1,cm\n"
            f"session_a1,1.0\nmajorityvote,{vote}\nchunkname,{name}\n",
        )
    write_sound(folder / f"chunks/{names[0]}.48kHz.wav")
    write_sound(folder / f"chunks/{names[1]}.16kHz.wav")


@layout
def sonyc_ust(root: Path) -> None:
    """Volunteers, a team member and agreed truth; cells that nobody judged."""
    columns = "1-1_small-sounding-engine_presence,1-X_engine-of-uncertain-size_presence,"
    columns += "5-1_car-horn_presence,5-1_car-horn_proximity,1_engine_presence"
    head = "split,sensor_id,audio_filename,annotator_id,year,week,day,hour,borough,block,"
    head += f"latitude,longitude,{columns}\n"

    def row(split: str, name: str, annotator: int, engine: int, horn: int) -> str:
        place = "2017,40,2,14,1,547,40.72,-73.99"
        return f"{split},12,{name},{annotator},{place},{engine},0,{horn},near,1\n"

    write_text(
        root / "annotations.csv",
        head
        + row("train", "12_004711.wav", 871, 1, 0)
        + row("train", "12_004711.wav", 872, 0, 1)
        + row("validate", "12_004712.wav", 871, 1, 1)
        + row("validate", "12_004712.wav", -3, -1, 1)
        + row("validate", "12_004712.wav", 0, 0, 1),
    )
    write_sound(root / "audio-3/12_004711.wav")
    write_sound(root / "audio-18/12_004712.wav")


@layout
def urbansound8k(root: Path) -> None:
    """Times of the original recording, which are not the slice's."""
    write_text(
        root / "UrbanSound8K/metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "999001-3-0-0.wav,999001,0.0,0.3175,1,5,3,dog_bark\n"
        "999002-8-0-1.wav,999002,31.2,35.2,2,10,8,siren\n",
    )
    write_sound(root / "UrbanSound8K/audio/fold5/999001-3-0-0.wav")
    write_sound(root / "UrbanSound8K/audio/fold10/999002-8-0-1.wav")
