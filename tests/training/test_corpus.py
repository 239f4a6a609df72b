import csv
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from training.corpus import archives, build, duplicates, excerpt, packages

RATE = 8_000
CORPUS = Path(packages.__file__).parent
Wave = NDArray[np.float64]


def noise(seed: int, seconds: float = 0.5) -> Wave:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))


def soundfont(
    samples: dict[str, Wave], loops: dict[str, tuple[int, int]], falling: str = ""
) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    stored, headers, at = b"", b"", 0
    for name, wave in samples.items():
        low, high = loops.get(name, (0, 0))
        numbers = (at, at + wave.size, at + low, at + high, RATE)
        headers += struct.pack("<20s5IBbHH", name.encode(), *numbers, 60, 0, 0, 1)
        stored += np.rint(wave * 32767).astype("<i2").tobytes()
        at += wave.size
    headers += struct.pack("<20s26x", b"EOS")
    lists = chunk(b"LIST", b"sdta" + chunk(b"smpl", stored))
    # One instrument with a zone a sample: looped or not, falling by 100 dB in a second or not.
    bags, zones = b"", b""
    for number, name in enumerate(samples):
        bags += struct.pack("<HH", len(zones) // 4, 0)
        fall = (36, 0, 37, 1000) if name in falling else (37, 0, 37, 0)
        zones += struct.pack("<HhHhHhHh", *fall, 54, int(name in loops), 53, number)
    bags += struct.pack("<HH", len(zones) // 4, 0)
    inst = struct.pack("<20sH20sH", b"all", 0, b"EOI", len(samples))
    parts = {b"inst": inst, b"ibag": bags, b"igen": zones, b"shdr": headers}
    lists += chunk(b"LIST", b"pdta" + b"".join(chunk(kind, data) for kind, data in parts.items()))
    return chunk(b"RIFF", b"sfbk" + lists)


def table(path: Path, columns: tuple[str, ...], *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(columns), *rows, ""]), encoding="utf-8")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Workbench:
    """Tables, and packages that stand in the cache as if they had been downloaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        table(
            folder / "labels" / "all.csv",
            packages.LABEL_COLUMNS,
            "gong,cymbal,gong,no,tam-tam",
            "sax,wind,sax,yes,",
        )

    def package(self, name: str, role: str, inside: str, *rows: str, more: str = "") -> Path:
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        path = self.folder / "packages" / f"{name}.csv"
        table(path, packages.CLIP_COLUMNS, *rows)
        path.with_suffix(".toml").write_text(
            f'version = "1"\nsha256 = "{sha256}"\ninside = "{inside}"\nrole = "{role}"\n'
            f'note = "made by a test"\n{more}',
            encoding="utf-8",
        )
        place = self.folder / "cache" / f"{name}-{sha256[:8]}" / inside
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def build(self) -> tuple[dict[str, int], dict[str, dict[str, str]], list[dict[str, str]]]:
        out = self.folder / "out"
        counts = build.build(self.folder / "cache", out, tables=self.folder)
        manifest = {row["member"]: row for row in read(out / "manifest.csv")}
        return counts, manifest, read(out / "dropped.csv")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def test_a_soundfont_becomes_clips_and_a_manifest(bench: Workbench) -> None:
    waves = {"Gong": noise(1), "Sax": noise(2), "Lent": noise(3)}
    place = bench.package(
        "tiny",
        "train",
        "tiny.sf2",
        "Gong,,gong,a gong,tiny/a,Ann,MIT",
        "Sax,,sax,a sax,tiny/a,Ann,MIT",
        "Lent,,gong,another gong,tiny/b,Ann,CC0-1.0",
        more='held_back = ["tiny/b"]\nnote_s = 1.5\n',
    )
    place.write_bytes(soundfont(waves, {"Sax": (0, 4000)}))
    counts, manifest, dropped = bench.build()
    assert counts == {"dropped": 0, "train": 1, "held_out": 1, "new_source": 1}
    assert dropped == []
    assert {name: row["split"] for name, row in manifest.items()} == {
        "Gong": "train",
        "Sax": "held_out",
        "Lent": "new_source",
    }
    gong = manifest["Gong"]
    pcm, rate = soundfile.read(bench.folder / "out" / gong["file_name"], dtype="int16")
    assert (rate, pcm.ndim) == (RATE, 1)
    assert gong["sha256"] == hashlib.sha256(pcm.tobytes()).hexdigest()
    assert gong["duration_s"] == "0.500"
    assert (gong["coarse"], gong["caption"], gong["source"]) == ("cymbal", "a gong", "tiny")
    # Held by its loop, as a saxophone's note is.
    assert manifest["Sax"]["duration_s"] == "1.500"


def test_building_twice_writes_the_same_bytes(bench: Workbench) -> None:
    place = bench.package("tiny", "train", "tiny.sf2", "Gong,,gong,a gong,tiny/a,Ann,MIT")
    place.write_bytes(soundfont({"Gong": noise(1)}, {}))
    out = bench.folder / "out"
    runs = []
    for _ in range(2):
        bench.build()
        runs.append({path: path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert runs[0] == runs[1]
    assert len(runs[0]) == 3


def test_what_is_dropped_is_written_down_with_its_reason(bench: Workbench) -> None:
    kept = noise(1)
    waves = {
        "kept": kept,
        "quieter": 0.5 * kept,
        "encoded again": np.clip(kept + 0.02 * noise(9), -1, 1),
        "other": noise(2),
        "silent": np.zeros(RATE),
        "short": noise(3, 0.01),
    }
    place = bench.package(
        "tiny",
        "train",
        "tiny",
        *[f"{name}.wav,,gong,a gong,tiny/a,Ann,MIT" for name in waves],
    )
    place.mkdir()
    for name, wave in waves.items():
        soundfile.write(place / f"{name}.wav", wave, RATE, subtype="FLOAT")
    _, manifest, dropped = bench.build()
    assert set(manifest) == {"kept.wav", "other.wav"}
    reasons = {row["member"]: row["reason"] for row in dropped}
    assert set(reasons) == {f"{name}.wav" for name in waves} - set(manifest)
    assert reasons["quieter.wav"].endswith("as tiny/kept") or "recording" in reasons["quieter.wav"]
    assert "the same recording as tiny/kept" in reasons["encoded again.wav"]
    assert reasons["silent.wav"] == "only silence"
    assert reasons["short.wav"] == "0.010 s; want 0.04 s"


def test_a_copy_in_a_foreign_package_is_the_one_dropped(bench: Workbench) -> None:
    for name, role, licence in (("zz", "train", "MIT"), ("aa", "foreign", "GPL-2")):
        place = bench.package(name, role, "x.sf2", f"Gong,,gong,a gong,{name},Ann,{licence}")
        place.write_bytes(soundfont({"Gong": noise(1)}, {}))
    counts, _, dropped = bench.build()
    assert counts == {"dropped": 1, "train": 1}
    assert [row["source"] for row in dropped] == ["aa"]


def test_two_excerpts_of_one_recording_do_not_overlap(bench: Workbench) -> None:
    place = bench.package(
        "tiny",
        "train",
        "x.sf2",
        "Gong,0,gong,a gong,tiny,Ann,MIT",
        "Gong,1,gong,a gong,tiny,Ann,MIT",
    )
    place.write_bytes(soundfont({"Gong": noise(1, 2.0)}, {}))
    bench.build()
    rows = read(bench.folder / "out" / "manifest.csv")
    assert [(row["start_s"], row["duration_s"]) for row in rows] == [
        ("0.000", "1.000"),
        ("1.000", "1.000"),
    ]


@pytest.mark.parametrize(
    ("role", "row", "complaint"),
    [
        ("train", "Gong,,gong,a gong,tiny,Ann,GPL-2", "licence GPL-2"),
        ("train", "Gong,,gong,,tiny,Ann,MIT", "no caption"),
        ("train", "Gong,,zither,a zither,tiny,Ann,MIT", "zither"),
        ("train", "Missing,,gong,a gong,tiny,Ann,MIT", "Missing"),
        ("trial", "Gong,,gong,a gong,tiny,Ann,MIT", "role 'trial'"),
    ],
)
def test_a_wrong_table_is_refused(bench: Workbench, role: str, row: str, complaint: str) -> None:
    place = bench.package("tiny", role, "x.sf2", row)
    place.write_bytes(soundfont({"Gong": noise(1)}, {}))
    with pytest.raises(SystemExit, match=complaint):
        bench.build()


def test_a_family_held_out_in_part_is_refused(tmp_path: Path) -> None:
    table(
        tmp_path / "labels.csv",
        packages.LABEL_COLUMNS,
        "alto sax,wind,sax,yes,",
        "tenor sax,wind,sax,no,",
    )
    with pytest.raises(SystemExit, match="one family"):
        packages.read_labels(tmp_path)


def test_trimming_cuts_silence_and_fades() -> None:
    # 1 s silence, 0.5 s at 0.5, 1 s silence: 10 ms before the onset stay, 10 ms after the end.
    wave = np.concatenate([np.zeros(RATE), np.full(RATE // 2, 0.5), np.zeros(RATE)])
    cut, start_s = excerpt.trim(wave, RATE)
    assert start_s == pytest.approx(0.99)
    assert cut.size == RATE // 2 + 160
    assert np.all(cut[80:4080] == 0.5)
    assert np.all(cut[:80] == 0)
    assert np.all(cut[-80:] == 0)


def test_a_struck_sound_keeps_its_attack_and_a_late_one_is_found() -> None:
    struck = np.exp(-np.arange(5 * RATE) / RATE)
    cut, start_s = excerpt.trim(struck, RATE)
    assert start_s == 0
    assert cut[0] == 1
    assert cut.size == 3 * RATE
    late = np.full(8 * RATE, 0.1)
    late[6 * RATE :] = 1
    _, start_s = excerpt.trim(late, RATE)
    # 80 % of the two loud seconds' energy: the clip ends 1.6 s into them, 100 ms steps.
    assert start_s == pytest.approx(4.6, abs=0.11)


def test_a_loop_is_held_and_a_recording_long_enough_left_alone(tmp_path: Path) -> None:
    wave = np.array([0.0, 0.1, 0.2, 0.9])
    path = tmp_path / "x.sf2"
    path.write_bytes(soundfont({"note": wave}, {"note": (1, 3)}))
    held, rate = archives.soundfont_sample(path, "note", 20 / RATE)
    assert rate == RATE
    # A millisecond of silence and one of rise come first, 8 samples each.
    assert np.all(held[:8] == 0)
    assert held[16:] == pytest.approx([0.2, 0.1, 0.2, 0.1], abs=1e-4)
    assert archives.soundfont_sample(path, "note")[0].size == 4


def test_a_held_note_falls_as_its_envelope_says(tmp_path: Path) -> None:
    path = tmp_path / "x.sf2"
    path.write_bytes(soundfont({"note": np.full(40, 0.5)}, {"note": (10, 30)}, falling="note"))
    held, _ = archives.soundfont_sample(path, "note", 0.5)
    level_db = 20 * np.log10(held[400:] / 0.5)
    assert held.size == RATE // 2
    assert np.diff(level_db) == pytest.approx(-100 / RATE, abs=1e-6)
    # Delay, rise and hold, each 2^-10 s where nothing is said, come first.
    assert level_db[0] == pytest.approx(-100 * (400 / RATE - 3 / 1024), abs=0.05)


def test_different_notes_of_one_instrument_are_no_duplicates() -> None:
    seen = duplicates.Duplicates()
    for note in range(24):
        time = np.arange(RATE) / RATE
        tone = np.sin(2 * np.pi * 220 * 2 ** (note / 12) * time) * np.exp(-3 * time)
        assert seen.find(str(note), np.rint(20_000 * tone).astype(np.int16), RATE) == ""


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, str]]:
    return read(CORPUS / "manifest.csv")


def test_the_manifest_follows_the_tables(manifest: list[dict[str, str]]) -> None:
    labels = packages.read_labels()
    every = {package.name: package for package in packages.read_packages()}
    held_back = {group for package in every.values() for group in package.held_back}
    listed = {
        (name, clip.member, clip.label, clip.caption)
        for name, package in every.items()
        for clip in packages.read_clips(package)
    }
    for row in manifest:
        assert (row["source"], row["member"], row["label"], row["caption"]) in listed
        label = labels[row["label"]]
        assert (row["coarse"], row["family"]) == (label.coarse, label.family)
        assert row["role"] == every[row["source"]].role
        assert row["split"] == build.split(row["role"], label, row["group"] in held_back)


def test_nothing_foreign_held_out_or_unfree_is_trained_on(manifest: list[dict[str, str]]) -> None:
    labels = packages.read_labels()
    held_out = {label.family for label in labels.values() if label.held_out}
    trained = [row for row in manifest if row["split"] == "train"]
    assert trained
    for row in trained:
        assert row["role"] == "train"
        assert row["licence"] in packages.FREE
        assert row["family"] not in held_out
    used = {row["sha256"] for row in trained}
    assert not used & {row["sha256"] for row in manifest if row["split"] != "train"}


def test_clips_are_named_once_and_short(manifest: list[dict[str, str]]) -> None:
    names = [row["file_name"] for row in manifest]
    assert len(set(names)) == len(names)
    assert len({row["sha256"] for row in manifest}) == len(names)
    for row in manifest:
        assert excerpt.SHORTEST_S <= float(row["duration_s"]) <= excerpt.LONGEST_S


def test_no_word_of_a_held_out_label_is_a_synonym_that_is_trained() -> None:
    labels = packages.read_labels()
    words = {True: set[str](), False: set[str]()}
    for label in labels.values():
        words[label.held_out] |= {label.label, *label.synonyms}
    assert not words[True] & words[False]
