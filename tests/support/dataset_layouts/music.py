"""Layouts of datasets of music."""

from __future__ import annotations

from pathlib import Path

from tests.support.dataset_layouts.registry import layout, write_json, write_parquet
from tests.support.sound_files import write_silence, write_sound, write_text


@layout
def lp_musiccaps(root: Path) -> None:
    """Two of the three parts; one row of MC was not crawled."""
    captions = {
        f"caption_{kind}": f"{kind} caption"
        for kind in ("writing", "summary", "paraphrase", "attribute_prediction")
    }
    write_parquet(
        root / "LP-MusicCaps-MTT/data/train-00000-of-00001-x.parquet",
        [
            {
                "track_id": "1",
                "title": "T",
                "artist_name": "A",
                "tag_top50": ["rock"],
                **captions,
                "path": "d/artist-album-01-title-88-117.mp3",
            }
        ],
    )
    write_sound(root / "audio/d/artist-album-01-title-88-117.mp3", 0.5)
    rows = [
        {
            "fname": f"[{ytid}]-[30-40]",
            "ytid": ytid,
            "aspect_list": ["calm"],
            **captions,
            "is_crawled": is_crawled,
        }
        for ytid, is_crawled in (("-bCdEfGhIjK", True), ("notCrawled_", False))
    ]
    write_parquet(root / "LP-MusicCaps-MC/data/test-00000-of-00001-y.parquet", rows)
    write_sound(root / "wav/[-bCdEfGhIjK]-[30-40].wav")


@layout
def music_avqa(root: Path) -> None:
    """JSON inside text, two places in a question, one glued to its punctuation; the key anser."""
    questions = [
        {
            "video_id": "00000093",
            "question_id": 12,
            "type": '["Audio", "Comparative"]',
            "question_content": "Is the <Object> louder than the <Object>?",
            "templ_values": '["cello", "flute"]',
            "question_deleted": 0,
            "anser": "yes",
        },
        {
            "video_id": "sa00000093",
            "question_id": 13,
            "type": '["Visual", "Counting"]',
            "question_content": "How many players are there?",
            "templ_values": "[]",
            "question_deleted": 0,
            "anser": "two",
        },
    ]
    write_json(root / "data/json_update/avqa-test.json", questions)
    write_sound(root / "videos/00000093.mp4", 0.5)
    write_sound(root / "videos/sa00000093.mp4", 0.5)


@layout
def musicqa(root: Path) -> None:
    """Values with spaces at their ends; two questions about one clip."""
    write_json(
        root / "EvalMusicQA.json",
        [
            {
                "audio_name": "012542.wav",
                "conversation": [
                    {"from": "human", "value": question},
                    {"from": "gpt", "value": answer},
                ],
            }
            for question, answer in (
                ("Describe the audio", " A calm piano piece. "),
                (" What is the mood?", "Calm. "),
            )
        ],
    )
    write_sound(root / "audios/012542.wav")


@layout
def musiccaps(root: Path) -> None:
    """A list as Python writes it; an id that begins with a hyphen."""
    write_text(
        root / "musiccaps-public.csv",
        "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,"
        "is_balanced_subset,is_audioset_eval\n"
        "-AbCdEfGhIj,30,40,\"/m/0140xf,/m/04rlf\",\"['low quality', 'mellow piano']\","
        "A sad ballad.,4,False,True\n",
    )
    write_sound(root / "audio/[-AbCdEfGhIj]-[30-40].wav")


@layout
def nsynth(root: Path) -> None:
    """A note without any quality, and the family that keeps its underscore."""

    def note(name: str, family: str, source: str, qualities: list[str]) -> dict[str, object]:
        return {
            "note_str": name,
            "instrument_str": name.rsplit("-", 2)[0],
            "pitch": 22,
            "velocity": 50,
            "qualities_str": qualities,
            "instrument_family_str": family,
            "instrument_source_str": source,
        }

    notes = {
        "bass_synthetic_998-022-050": note(
            "bass_synthetic_998-022-050", "bass", "synthetic", ["dark", "fast_decay"]
        ),
        "synth_lead_acoustic_1-022-050": note(
            "synth_lead_acoustic_1-022-050", "synth_lead", "acoustic", []
        ),
    }
    write_json(root / "nsynth-train/examples.json", notes)
    for name in notes:
        write_sound(root / f"nsynth-train/audio/{name}.wav")


@layout
def mtg_jamendo(root: Path) -> None:
    """Ragged lines that end in CR LF, a category with a slash, the low variant."""
    write_text(
        root / "data/splits/split-0/autotagging-train.tsv",
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\r\n"
        "track_9000214\tartist_900014\talbum_900031\t14/9000214.mp3\t124.6\tgenre---punkrock\t"
        "instrument---drums\tmood/theme---energetic\r\n"
        "track_9000215\tartist_900014\talbum_900031\t15/9000215.mp3\t10.6\tgenre---pop\r\n",
    )
    write_sound(root / "14/9000214.mp3", 50.0)
    write_sound(root / "15/9000215.low.mp3", 1.0)


@layout
def musdb18_hq(root: Path) -> None:
    """A title with an ampersand among the validation songs; a stem that is silent at first."""
    write_sound(root / "train/Johnny Lokke - Promises & Lies/vocals.wav", 1.0)
    write_silence(root / "test/Ané - Été/bass.wav", 20.0)
    write_sound(root / "test/Ané - Été/drums.wav", 20.0)


@layout
def fma(root: Path) -> None:
    """Two header lines and one of the index's name; a track without a top genre; a broken one."""
    write_text(
        root / "fma_metadata/tracks.csv",
        ",artist,set,set,track,track,track,track\n"
        ",name,split,subset,genre_top,genres,license,title\n"
        "track_id,,,,,,,\n"
        '2,AWOL,training,small,Hip-Hop,"[21]",CC BY-NC-SA 3.0,Food\n'
        '3,AWOL,training,medium,,"[21, 10]",CC BY-NC-SA 3.0,Electric Ave\n'
        "133297,Other,test,small,Rock,[12],CC0,Gone\n",
    )
    write_sound(root / "fma_small/000/000002.mp3", 30.0)


@layout
def gtzan(root: Path) -> None:
    """The file that cannot be read in one copy; a list of a filtered split."""
    write_sound(root / "genres/blues/blues.00001.wav")
    write_sound(root / "genres/rock/rock.00099.au")
    write_text(root / "genres/jazz/jazz.00054.wav", "not audio")
    write_text(root / "filtered_train.txt", "blues.00001\n")


@layout
def medley_solos_db(root: Path) -> None:
    """Both names of the training subset."""
    ids = [f"0000000{n}-1111-2222-3333-444444444444" for n in range(3)]
    write_text(
        root / "Medley-solos-DB_metadata.csv",
        "subset,instrument,instrument_id,song_id,uuid4\n"
        f"test,clarinet,0,0,{ids[0]}\n"
        f"training,tenor saxophone,5,7,{ids[1]}\n"
        f"train,tenor saxophone,5,8,{ids[2]}\n",
    )
    write_sound(root / f"Medley-solos-DB_test-0_{ids[0]}.wav")
    write_sound(root / f"audio/Medley-solos-DB_training-5_{ids[1]}.wav")
    write_sound(root / f"Medley-solos-DB_train-5_{ids[2]}.wav")
