"""A small tree of every declared dataset, in its publisher's layout, with its traps."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.support.sound_files import write_silence, write_sound, write_text

LAYOUTS: dict[str, Callable[[Path], None]] = {}


def layout(lay_out: Callable[[Path], None]) -> Callable[[Path], None]:
    """Know a tree by the name of its dataset."""
    LAYOUTS[lay_out.__name__.replace("_", "-")] = lay_out
    return lay_out


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value))


def write_parquet(path: Path, rows: list[dict[str, object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@layout
def openaqa(root: Path) -> None:
    """Ids are paths of the authors' machine; one set of Freesound, one of YouTube."""
    write_sound(root / "audio/AbCdEfGhIjK.flac")
    write_sound(root / "audio/Door creak 2.wav")
    write_json(
        root / "openaqa_5.6M.json",
        [
            {
                "instruction": "What is making the hum?",
                "input": "",
                "audio_id": "/data/sls/audioset/dave_version/audio/AbCdEfGhIjK.flac",
                "dataset": "as_strong_train",
                "task": "open-ended question",
                "output": "A refrigerator.",
            },
            {
                "instruction": "Describe it.",
                "input": "",
                "audio_id": "/data/clotho/Door creak 2.wav",
                "output": "A door, creaking.",
            },
            {"instruction": "Gone?", "input": "", "audio_id": "/x/zzzzzzzzzzz.flac", "output": "x"},
        ],
    )


@layout
def laion_audio_630k(root: Path) -> None:
    """One tar unpacked beside itself, one folder of pairs; text as a list and as a string."""
    pairs = {
        "0": {"text": ["Rain on tin", "A short recording of rain."], "tag": ["rain", "tin"]},
        "1": {"text": "A plain string", "tag": []},
    }
    tar_path = root / "freesound_no_overlap/train_1/0.tar"
    tar_path.parent.mkdir(parents=True)
    with tarfile.open(tar_path, "w") as tar:
        for stem, told in pairs.items():
            text = json.dumps(told).encode()
            member = tarfile.TarInfo(f"{stem}.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    write_sound(root / "freesound_no_overlap/train_1/0/0.flac")
    write_sound(root / "freesound_no_overlap/test/3/7.flac")
    write_json(root / "freesound_no_overlap/test/3/7.json", {"text": ["Loose"], "tag": ["x"]})


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
def sounddescs(root: Path) -> None:
    """Pickles of protocol 2; one clip without a category."""
    descriptions: defaultdict[str, list[str]] = defaultdict(list)
    descriptions.update({"07051146": "Rain.", "nhu05102079": "A bird."})  # type: ignore[dict-item]
    categories: defaultdict[str, list[str]] = defaultdict(list)
    categories["07051146"] = ["Daily Life"]
    folder = root / "sounddescs_data"
    folder.mkdir()
    (folder / "descriptions.pkl").write_bytes(pickle.dumps(descriptions, protocol=2))
    (folder / "categories.pkl").write_bytes(pickle.dumps(categories, protocol=2))
    write_text(root / "data/SoundDescs/train_list.txt", "07051146\n")
    write_text(root / "data/SoundDescs/test_list.txt", "nhu05102079\n")
    write_sound(root / "audios/07051146.wav")
    write_sound(root / "audios/nhu05102079/nhu05102079.wav")


@layout
def wavcaps(root: Path) -> None:
    """Two of the four parts; files deep below the authors' folders."""
    write_json(
        root / "json_files/SoundBible/sb_final.json",
        {
            "num_captions_per_audio": 1,
            "data": [
                {
                    "id": "9001",
                    "title": "Plane",
                    "description": "Large plane.",
                    "author": "X",
                    "caption": "A plane lands.",
                    "duration": 14.1,
                    "audio": "wav_path",
                }
            ],
        },
    )
    write_json(
        root / "json_files/AudioSet_SL/as_final.json",
        {
            "num_captions_per_audio": 1,
            "data": [
                {"id": "Y-bCdEfGhIjK.wav", "caption": "Hum.", "audio": "wav_path", "duration": 10}
            ],
        },
    )
    write_sound(root / "Audio/SoundBible/9001.flac")
    write_sound(
        root / "Audio/AudioSet_SL/mnt/x/WavCaps/data/waveforms/AudioSet_SL_flac/Y-bCdEfGhIjK.flac"
    )


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
def wavtext5k(root: Path) -> None:
    """A name with spaces, a description that begins with one, a row without tags."""
    write_text(
        root / "WavText5K.csv",
        "view_link,download_link,title,description,fname,tags\n"
        "https://soundbible.com/1-X.html,https://soundbible.com/grab.php?id=1&type=wav,Ovation,"
        " Applause from a crowd.,ovation 553.wav,\"['crowd', 'applause']\"\n"
        "https://bigsoundbank.com/2.html,https://x/2.wav,Bell,A bell.,bell.wav,\n",
    )
    write_sound(root / "download/ovation 553.wav")
    write_sound(root / "download/bell.wav")


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
def clotho_aqa(root: Path) -> None:
    """Three annotators who disagree, a name with a space and an apostrophe, a byte of Latin-1."""
    rows = "".join(
        f"Dog's river 3.wav,Are there waves?,{answer},{sure}\n"
        for answer, sure in (("yes", "yes"), ("no", "Yes"), ("yes", "maybe"))
    )
    write_text(
        root / "clotho_aqa_test.csv",
        "file_name,QuestionText,answer,confidence\n"
        + rows
        + "caf\xe9.wav,How many birds?,two,yes\n",
        "latin-1",
    )
    write_text(
        root / "clotho_aqa_metadata.csv",
        "file_name,keywords,sound_id,sound_link,start_end_samples,manufacturer,license\n"
        'Dog\'s river 3.wav,river;dog,123456,https://freesound.org/x,"[0, 882000]",x,CC0\n',
    )
    write_sound(root / "audio_files/Dog's river 3.wav")
    write_sound(root / "audio_files/café.wav")
    write_sound(root / "audio_files/named by no row.wav")


@layout
def clotho(root: Path) -> None:
    """Five captions a clip; keywords in ISO-8859-1."""
    write_text(
        root / "clotho_captions_development.csv",
        "file_name,caption_1,caption_2,caption_3,caption_4,caption_5\n"
        "Door creak 2.wav,A door creaks.,Someone opens a door.,A hinge squeaks slowly.,"
        "An old door moves.,Wood creaks in a room.\n",
    )
    write_text(
        root / "clotho_metadata_development.csv",
        "file_name,keywords,sound_id,sound_link,start_end_samples,manufacturer,license\n"
        "Door creak 2.wav,door;caf\xe9,Not found,NA,,someone,http://creativecommons.org/by/3.0/\n",
        "latin-1",
    )
    write_sound(root / "development/Door creak 2.wav")


@layout
def macs(root: Path) -> None:
    """Two annotations of one clip of TAU Urban Acoustic Scenes."""
    write_text(
        root / "MACS.yaml",
        "files:\n"
        "- filename: airport-lyon-1095-40161-a.wav\n"
        "  annotations:\n"
        "  - annotator_id: 35\n"
        "    sentence: people talk and walk past\n"
        "    tags: [adults_talking, footsteps]\n"
        "  - annotator_id: 36\n"
        "    sentence: a crowded hall\n"
        "    tags: []\n",
    )
    folder = root / "TAU-urban-acoustic-scenes-2019-development"
    write_text(
        folder / "meta.csv",
        "filename\tscene_label\tidentifier\tsource_label\n"
        "audio/airport-lyon-1095-40161-a.wav\tairport\tlyon-1095\ta\n",
    )
    write_sound(folder / "audio/airport-lyon-1095-40161-a.wav")


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
def audiocaps(root: Path) -> None:
    """Five rows of one clip in the test set, one of another; a video and a cut file."""
    head = "audiocap_id,youtube_id,start_time,caption\n"
    write_text(
        root / "dataset/train.csv", head + '999139,AbCdEfGhIjK,130,"A dog barks, then a car"\n'
    )
    write_text(
        root / "dataset/test.csv",
        head + "".join(f"{n},-bCdEfGhIjK,0,Caption {n}\n" for n in range(1, 6)),
    )
    write_sound(root / "audio/AbCdEfGhIjK_130.flac")
    write_sound(root / "audio/Y-bCdEfGhIjK.wav")


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
