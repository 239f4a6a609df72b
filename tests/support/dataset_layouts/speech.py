"""Layouts of datasets of speech and emotion."""

from __future__ import annotations

from pathlib import Path

from tests.support.dataset_layouts.registry import layout
from tests.support.sound_files import write_sound, write_text


@layout
def msp_podcast(root: Path) -> None:
    """The other spelling of the label file; a turn without agreement."""
    write_text(
        root / "Labels/labels_concensus.csv",
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
        "MSP-PODCAST_0001_0008.wav,N,2.4,4.2,2.6,30,Male,Test1\n"
        "MSP-PODCAST_0001_0009.wav,X,2.4,4.2,2.6,30,Male,Test1\n"
        "MSP-PODCAST_0002_0001.wav,A,2.4,4.2,2.6,31,Female,Development\n",
    )
    write_sound(root / "Audios/MSP-PODCAST_0001_0008.wav")
    write_sound(root / "Audios/MSP-PODCAST_0002_0001.wav")


@layout
def emov_db(root: Path) -> None:
    """A flat archive and the older sorted form."""
    write_sound(root / "bea_Amused/amused_1-28_0011.wav")
    write_sound(root / "sam/Sleepy/sleepiness_1-28_0012.wav")


@layout
def jl_corpus(root: Path) -> None:
    """A text beside a recording."""
    folder = root / "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    write_sound(folder / "female1_angry_10a_1.wav")
    write_text(folder / "female1_angry_10a_1.txt", "Carl leaps into a jeep.\n")
    write_sound(folder / "male2_encouraging_1b_2.wav")


@layout
def tess(root: Path) -> None:
    """The tree twice, both spellings of the surprise, a misnamed file."""
    for above in ("", "TESS Toronto emotional speech set data/"):
        folder = root / f"{above}TESS Toronto emotional speech set data"
        write_sound(folder / "OAF_Pleasant_surprise/OAF_back_ps.wav")
        write_sound(folder / "YAF_pleasant_surprised/YAF_back_ps.wav")
        write_sound(folder / "OAF_neutral/OA_bite_neutral.wav")


@layout
def omg_emotion(root: Path) -> None:
    """One name of an utterance in two videos."""
    head = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    write_text(
        root / "omg_TrainVideos.csv",
        head
        + "https://www.youtube.com/watch?v=AbCdEfGhIjK,15.5,19.75,0a1b2c3d4,utterance_4.mp4,0.25,"
        "-0.125,4\n"
        "https://www.youtube.com/watch?v=ZbCdEfGhIjK,1.5,2.75,9z8y,utterance_4.mp4,0.5,0.5,0\n",
    )
    write_sound(root / "train/0a1b2c3d4/utterance_4.mp4", 0.5)
    write_sound(root / "train/9z8y/utterance_4.mp4", 0.5)


@layout
def meld(root: Path) -> None:
    """A row without its video, a video without a row, a broken one, and macOS's leftovers."""
    head = (
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
        "StartTime,EndTime\n"
    )
    times = '8,21,"00:16:16,059","00:16:21,731"\n'
    write_text(
        root / "train_sent_emo.csv",
        head
        + f"1,Hey there.,Joey,joy,positive,0,0,{times}"
        + f"2,\u2019Bye.,Ross,anger,negative,0,1,{times}"
        + f"3,Oh.,Ross,fear,negative,125,3,{times}",
    )
    write_sound(root / "train_splits/dia0_utt0.mp4", 0.5)
    write_sound(root / "train_splits/dia125_utt3.mp4", 0.5)
    write_sound(root / "train_splits/dia66_utt9.mp4", 0.5)
    write_text(root / "train_splits/._dia0_utt0.mp4", "leftover")


@layout
def crema_d(root: Path) -> None:
    """A recording, and a pointer that Git LFS left in another's place."""
    write_sound(root / "AudioWAV/1001_DFA_ANG_XX.wav")
    write_text(
        root / "AudioWAV/1002_IEO_HAP_LO.wav",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90000\n",
    )


@layout
def ravdess(root: Path) -> None:
    """Speech and song of one actor, and a copy of the tree."""
    write_sound(root / "Actor_12/03-01-06-01-02-01-12.wav")
    write_sound(root / "audio_speech_actors_01-24/Actor_12/03-01-06-01-02-01-12.wav")
    write_sound(root / "Actor_12/03-02-03-01-02-01-12.wav")
