"""Layouts of datasets of captions and questions."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections import defaultdict
from pathlib import Path

from tests.support.dataset_layouts.registry import layout, write_json
from tests.support.sound_files import write_sound, write_text


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
        for stem, pair in pairs.items():
            text = json.dumps(pair).encode()
            member = tarfile.TarInfo(f"{stem}.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    write_sound(root / "freesound_no_overlap/train_1/0/0.flac")
    write_sound(root / "freesound_no_overlap/test/3/7.flac")
    write_json(root / "freesound_no_overlap/test/3/7.json", {"text": ["Loose"], "tag": ["x"]})


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
