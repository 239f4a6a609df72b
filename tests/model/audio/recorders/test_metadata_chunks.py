"""What recorders write into files: GUANO, wamd, AudioMoth, bext, comments of FLAC and Ogg."""

import struct
from pathlib import Path
from typing import Any

import pytest

from earful.model.audio.recorders import RecorderMetadata, read_recorder_metadata
from tests.support.recorder_files import (
    bext,
    chunk,
    flac,
    guano,
    info,
    moth,
    ogg,
    w64,
    wamd,
    wav,
)

MINI = (
    "Firmware Version:1.1\nMake:Wildlife Acoustics, Inc.\nModel:Song Meter Mini\n"
    "Serial:SMA00646\nWA|Song Meter|Prefix:POND\nLength:300.000\n"
    "Timestamp:2020-10-17 13:05:00+1:00\nLoc Position:54.75656 -1.59106\nSamplerate:24000 \n"
)
SPEC = "Timestamp:  2012-03-29T03:58:01+04:00\nTE: 1\nMake: Pettersson\nModel: D1000X\n"
SM4 = ((1, b"SM4"), (2, b"S4A01234"), (3, b"2.3.1"), (4, b"RIDGE"))
MOTH = "by AudioMoth 24F3190361DA3578 at medium gain while battery was 4.2V"
SERIAL = "AudioMoth 24F3190361DA3578"
Fields = dict[str, Any]

# (case, the file, what is read of it); the file is called x.wav, in a folder called here.
CASES: list[tuple[str, bytes, Fields]] = [
    # GUANO: specification and the Song Meter Mini, which writes hours of one digit
    ("guano mini", wav(guano(MINI)), {
        "starts_at": "2020-10-17T13:05:00+01:00", "time_source": "GUANO", "site": "POND",
        "latitude": 54.75656, "longitude": -1.59106,
        "device": "Wildlife Acoustics, Inc. Song Meter Mini SMA00646",
    }),
    ("guano specification", wav(guano(SPEC)), {
        "starts_at": "2012-03-29T03:58:01+04:00", "device": "Pettersson D1000X",
    }),
    ("guano before the samples", wav(before=guano(SPEC)),
        {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("guano local", wav(guano("Timestamp: 2026-05-03T04:30:12")),
        {"starts_at": "2026-05-03T04:30:12"}),
    ("guano UTC", wav(guano("Timestamp: 2026-05-03T04:30:12.250Z")),
        {"starts_at": "2026-05-03T04:30:12.250000+00:00"}),
    ("guano fraction and offset", wav(guano("Timestamp: 2026-05-03T04:30:12.123456-0330")),
        {"starts_at": "2026-05-03T04:30:12.123456-03:30"}),
    ("guano without seconds", wav(guano("Timestamp: 2026-05-03T04:30")),
        {"starts_at": "2026-05-03T04:30:00"}),
    ("guano impossible", wav(guano("Timestamp: 2026-02-30T04:30:12")),
        {"starts_at": "", "time_source": ""}),
    ("guano offset impossible", wav(guano("Timestamp: 2026-05-03T04:30:12+25:00")),
        {"starts_at": ""}),
    ("guano in RF64", wav(guano(SPEC), kind=b"RF64"), {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("guano in BW64", wav(guano(SPEC), kind=b"BW64"), {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("guano in W64", w64((b"guan", SPEC.encode())), {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("guano behind an odd chunk without its pad byte",
        wav(chunk(b"odd ", b"123", padded=False), guano(SPEC)),
        {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("odd guano without its pad byte, then wamd",
        wav(guano("Timestamp: 2026-05-03T04:30:12\nNote: xx", padded=False), wamd(*SM4)),
        {"starts_at": "2026-05-03T04:30:12", "site": "RIDGE"}),
    ("guano padded with blanks and zeros", wav(guano(SPEC + " \n\0\0\0")),
        {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("guano in Latin-1", wav(chunk(b"guan", "Make: Grünbaum\nModel: A".encode("latin-1"))),
        {"device": "Grünbaum A"}),
    ("guano without a colon, twice a key", wav(guano("nonsense\nModel: A\nModel: B\n: c")),
        {"device": "A"}),
    ("guano with a comma in the position", wav(guano("Loc Position: 60.17, 24.94")),
        {"latitude": 60.17, "longitude": 24.94}),
    ("guano without a fix", wav(guano("Loc Position: 0.0 0.0")), {"latitude": None}),
    ("guano with an impossible position", wav(guano("Loc Position: 95.0 24.0")),
        {"latitude": None}),
    ("guano with half a position", wav(guano("Loc Position: 60.17")), {"latitude": None}),
    ("guano expanded", wav(guano("TE: 10")), {"time_expansion": 10.0}),
    ("guano expanded by nothing", wav(guano("TE:")), {"time_expansion": 1.0}),
    ("guano expanded by 0", wav(guano("TE: 0")), {"time_expansion": 1.0}),
    ("guano expanded by words", wav(guano("TE: ten")), {"time_expansion": 1.0}),
    ("guano of Titley", wav(guano("Anabat|Asset ID: A7\nMake: Titley Scientific\nModel: Swift")),
        {"site": "A7", "device": "Titley Scientific Swift"}),
    # wamd
    ("wamd", wav(wamd(*SM4, (5, b"2014-04-02 22:59:14-05:00"),
                      (6, b"WGS84,44.98,N,93.27,W,256"))), {
        "starts_at": "2014-04-02T22:59:14-05:00", "time_source": "wamd", "site": "RIDGE",
        "latitude": 44.98, "longitude": -93.27, "device": "SM4 S4A01234",
    }),
    ("wamd local", wav(wamd((5, b"2014-04-02 22:59:14"))), {"starts_at": "2014-04-02T22:59:14"}),
    ("wamd with a fraction", wav(wamd((5, b"2014-04-02 22:59:14.250\0"))),
        {"starts_at": "2014-04-02T22:59:14.250000"}),
    ("wamd south and east, older", wav(wamd((6, b",27.38,S,152.88,E"))),
        {"latitude": -27.38, "longitude": 152.88}),
    ("wamd of an Echo Meter Touch", wav(wamd((6, b"WGS84, 44.98, -93.27"))),
        {"latitude": 44.98, "longitude": -93.27}),
    ("wamd with a last position alone", wav(wamd((0x14, b"WGS84,44.98,N,93.27,W"))),
        {"latitude": 44.98, "longitude": -93.27}),
    ("wamd without a fix", wav(wamd((6, b"WGS84"))), {"latitude": None}),
    ("wamd expanded", wav(wamd((0x0F, struct.pack("<H", 10)))), {"time_expansion": 10.0}),
    ("wamd padded", wav(wamd((0xFFFF, b"\0"), *SM4)), {"site": "RIDGE"}),
    ("wamd cut off", wav(chunk(b"wamd", b"\4\0\5\0\0\0RIDGE\5\0\xff\xff\0\0x")),
        {"site": "RIDGE", "starts_at": ""}),
    # AudioMoth firmware 1.0.0 to 1.8.1
    ("moth 1.0.0", wav(before=moth(
        "Recorded at 04:30:12 03/05/2018 by AudioMoth 24F3190361DA3578 at gain setting 2 while "
        "battery state was 4.2V")),
        {"starts_at": "2018-05-03T04:30:12", "time_source": "AudioMoth comment",
         "device": SERIAL}),
    ("moth 1.0.1", wav(before=moth(
        "Recorded at 04:30:12 03/05/2018 (UTC) by AudioMoth 24F3190361DA3578 at gain setting 2 "
        "while battery state was > 5.0V")), {"starts_at": "2018-05-03T04:30:12+00:00"}),
    ("moth 1.2.0", wav(before=moth(
        "Recorded at 04:30:12 03/05/2019 (UTC+2) by AudioMoth 24F3190361DA3578 at gain setting 2 "
        "while battery state was 4.2V.")), {"starts_at": "2019-05-03T04:30:12+02:00"}),
    ("moth 1.2.1 west", wav(before=moth(f"Recorded at 04:30:12 03/05/2019 (UTC-10) {MOTH}")),
        {"starts_at": "2019-05-03T04:30:12-10:00"}),
    ("moth 1.2.2", wav(before=moth(f"Recorded at 04:30:12 03/05/2019 (UTC-3:30) {MOTH}")),
        {"starts_at": "2019-05-03T04:30:12-03:30"}),
    ("moth 1.4.0", wav(before=moth(
        "Recorded at 04:30:12 03/05/2020 (UTC+5:45) by AudioMoth 24F3190361DA3578 at medium gain "
        "setting while battery state was less than 2.5V and temperature was -3.5C.")),
        {"starts_at": "2020-05-03T04:30:12+05:45"}),
    ("moth 1.5.0 deployment", wav(before=moth(
        "Recorded at 04:30:12 03/05/2021 (UTC) during deployment 0123456789ABCDEF using external "
        "microphone at medium gain setting while battery state was 4.2V and temperature was 3C.")),
        {"starts_at": "2021-05-03T04:30:12+00:00", "device": SERIAL}),
    ("moth 1.8.1", wav(before=moth(
        f"Recorded at 04:30:12 03/05/2023 (UTC+1) {MOTH} and temperature was 12.3C. Frequency "
        "trigger (8.0kHz and window length of 16 samples) threshold was 10% with 5s minimum "
        "trigger duration.")), {"starts_at": "2023-05-03T04:30:12+01:00"}),
    ("moth without a clock", wav(before=moth(f"Recorded at 00:00:05 01/01/1970 (UTC) {MOTH}")),
        {"starts_at": "", "device": SERIAL}),
    ("moth month and day", wav(before=moth(f"Recorded at 04:30:12 12/13/2023 (UTC) {MOTH}")),
        {"starts_at": ""}),
    ("another comment", wav(before=info(ICMT="Recorded at the pond", IART="Ana")),
        {"starts_at": "", "device": ""}),
    ("a list of another kind first", wav(chunk(b"LIST", b"adtl" + bytes(20)), moth(
        f"Recorded at 04:30:12 03/05/2023 (UTC) {MOTH}")),
        {"starts_at": "2023-05-03T04:30:12+00:00"}),
    # bext
    ("bext", wav(before=bext("2026-05-03", "04:30:12", originator="Sound Devices MixPre-3")),
        {"starts_at": "2026-05-03T04:30:12", "time_source": "bext",
         "device": "Sound Devices MixPre-3"}),
    ("bext with other marks", wav(before=bext("2026_05:03", "04-30-12")),
        {"starts_at": "2026-05-03T04:30:12"}),
    ("bext empty", wav(before=bext("0000-00-00", "00:00:00")), {"starts_at": ""}),
    ("bext short", wav(before=chunk(b"bext", b"a pond")), {"starts_at": ""}),
    ("bext in W64", w64((b"bext", bext("2026-05-03", "04:30:12")[8:])),
        {"starts_at": "2026-05-03T04:30:12"}),
    # Comments of FLAC and Ogg
    ("flac", flac("DATE=2026-05-03T04:30:12Z", "LOCATION=Mill pond"),
        {"starts_at": "2026-05-03T04:30:12+00:00", "time_source": "comment",
         "site": "Mill pond"}),
    ("flac with a year", flac("DATE=2026", "location=+60.17 +24.94"),
        {"starts_at": "", "site": "here", "latitude": 60.17, "longitude": 24.94}),
    ("flac of Frontier Labs", flac(
        "SensorFirmwareVersion=3.20", "RecordingStart=2020-08-01T00:00:00+1000",
        "SensorLocation=-27.3888 +152.8808", "SensorUid=00012345"),
        {"starts_at": "2020-08-01T00:00:00+10:00", "latitude": -27.3888, "longitude": 152.8808,
         "device": "00012345"}),
    ("flac of Frontier Labs 3.08", flac("RecordingStart=2019-08-01 00:00:00"),
        {"starts_at": "2019-08-01T00:00:00"}),
    ("flac made of a WAV that is kept", flac(chunks=(guano(MINI),)),
        {"starts_at": "2020-10-17T13:05:00+01:00", "time_source": "GUANO", "site": "POND"}),
    ("flac of an AudioMoth", flac(f"comment=Recorded at 04:30:12 03/05/2023 (UTC) {MOTH}"),
        {"starts_at": "2023-05-03T04:30:12+00:00", "time_source": "AudioMoth comment",
         "device": SERIAL}),
    ("ogg", ogg("date=2026-05-03 04:30:12+03:00"), {"starts_at": "2026-05-03T04:30:12+03:00"}),
    ("opus", ogg("DATE=2026-05-03T04:30:12", mark=b"OpusTags", first=b"OpusHead"),
        {"starts_at": "2026-05-03T04:30:12"}),
    ("ogg with comments over several pages", ogg("X=" + 70000 * "x", "DATE=2026-05-03T04:30:12"),
        {"starts_at": "2026-05-03T04:30:12"}),
    # None of these
    ("plain", wav(), {"starts_at": "", "time_source": "", "site": "here", "device": ""}),
    ("empty", b"", {"starts_at": "", "site": "here"}),
    ("an ID3 tag before it", b"ID3\4\0\0\0\0\0\0" + wav(guano(SPEC)),
        {"starts_at": "2012-03-29T03:58:01+04:00"}),
    ("size of the samples never written", wav(guano(SPEC)).replace(
        b"data" + struct.pack("<I", 1600), b"data" + bytes(4)), {"starts_at": ""}),
]  # fmt: skip


def read(folder: Path, content: bytes, name: str = "x.wav") -> RecorderMetadata:
    (folder / "here").mkdir(exist_ok=True)
    path = folder / "here" / name
    path.write_bytes(content)
    return read_recorder_metadata(path)


@pytest.mark.parametrize(("content", "expected"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_a_file_says_when_and_where(tmp_path: Path, content: bytes, expected: Fields) -> None:
    found = read(tmp_path, content).to_dict()
    assert {key: found[key] for key in expected} == expected


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_other_fields_are_kept_as_they_are(tmp_path: Path) -> None:
    found = read(tmp_path, wav(guano(MINI + "PET|Gain: 80\nNote: a\\nb"), wamd(*SM4)))
    assert found.extra["PET|Gain"] == "80"
    assert found.extra["Note"] == "a\\nb"
    assert found.extra["Length"] == "300.000"
    assert found.extra["wamd|firmware"] == "2.3.1"
    assert "Timestamp" not in found.extra


def test_what_was_no_time_is_noted(tmp_path: Path) -> None:
    found = read(tmp_path, wav(guano("Timestamp: soon\nTE: ten")))
    assert "'soon'" in found.notes[0]
    assert "'ten'" in found.notes[1]
    found = read(tmp_path, wav(moth(f"Recorded at 00:00:05 01/01/1970 (UTC) {MOTH}")))
    assert "00:00:05 01/01/1970" in found.notes[0]
    assert "divided by" in read(tmp_path, wav(guano("TE: 10"))).notes[0]


def test_many_fields_are_cut_and_counted(tmp_path: Path) -> None:
    text = "\n".join(f"key{number}: {number}" for number in range(500)) + "\nkey0b: x\n"
    found = read(tmp_path, wav(guano(text + "a: " + 5000 * "y")))
    assert len(found.extra) == 256
    assert found.notes == ("247 of its metadata fields were left out: it has over 256",)
    found = read(tmp_path, wav(guano("a: " + 5000 * "y")))
    assert len(found.extra["a"]) == 4096
    assert "cut to 4096" in found.notes[0]


def test_texts_are_of_one_line_and_short(tmp_path: Path) -> None:
    found = read(tmp_path, wav(wamd((4, b"A\x1b[31m\n" + 500 * b"x"), (1, "Ä".encode()))))
    assert found.site.isprintable()
    assert len(found.site) < 250
    assert found.device == "Ä"
