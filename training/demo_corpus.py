"""Make the demo corpus ``notebooks/demo/`` from Debian packages, byte for byte.

The selection is ``training/demo_sources.csv``: which sound of which package, its label,
its author and its licence as the package states them for that very file. Packages are
downloaded with ``apt-get download`` at pinned versions, checked by SHA-256 and unpacked
without running anything in them::

    ./dev run python -m training.demo_corpus --cache /tmp/demo-packages

Sounds come as plain files, inside OpenClonk's group files (``C4Group``) or a Doom WAD, or as
the raw recordings inside a SoundFont (SF2), which are read directly: nothing is synthesised.

The bytes are those of the locked ``soundfile`` and ``soxr`` on x86-64; another release of
either may encode the same samples to other bytes, which the manifests' digests will show.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import soundfile
import soxr
from training.corpus import packages
from training.corpus.archives import Samples, read_member

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).with_name("demo_sources.csv")
TARGET = ROOT / "notebooks" / "demo"
# Package: Debian version, SHA-256 of the .deb, folder or file inside that members are in.
PACKAGES = {
    "freedoom": (
        "0.12.1-2",
        "c5b7cf1aa6dde8c980271981ce75b9b4a9e7b634b9db93d471f54bab7a8e1290",
        "usr/share/games/doom/freedoom2.wad",
    ),
    "fluid-soundfont-gm": (
        "3.1-5.3",
        "6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
        "usr/share/sounds/sf2/FluidR3_GM.sf2",
    ),
    "hydrogen-drumkits": (
        "2017.09.19~dfsg-1",
        "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
        "usr/share/hydrogen/data/drumkits",
    ),
    "hydrogen-drumkits-effects": (
        "2017.09.19~dfsg-1",
        "4ca3ff30e89d044952ad8a4ed28c60e8e5e1f8fec0ddcf0e1e7e2c84ce2975c8",
        "usr/share/hydrogen/data/drumkits",
    ),
    "minetest-data": (
        "5.6.1+dfsg+~1.9.0mt8+dfsg-2",
        "91371dd2bd51cfcd4fa60c138667989a47047dfe1a47f7523b9ad1782d397585",
        "usr/share/games/minetest/games/minetest_game/mods",
    ),
    "minetest-mod-xdecor": (
        "1.0+dfsg1-2",
        "4aaf952412b033fa36377ba3609cff2696e83cbb6ad9ac9238d27ed0aafddf77",
        "usr/share/games/minetest/mods/xdecor/sounds",
    ),
    "openclonk-data": (
        "8.1-3",
        "1505314b47196c5052caf75e870ea2cf36bdb4e1d0c7e3f133da93815b7e642f",
        "usr/share/games/openclonk",
    ),
    "sonic-pi-samples": (
        "3.2.2~repack-8",
        "25f2312d2fae005e6ad0f4726b8ed3084e776006a5a132083506e960224ac79d",
        "usr/share/sonic-pi/samples",
    ),
}
SAMPLE_RATE = 32_000
LONGEST_S = 1.3
FADE_S = 0.01
SILENCE_DB = -50.0
COLUMNS = (
    "file_name",
    "label",
    "group",
    "author",
    "licence",
    "package",
    "package_version",
    "member",
    "member_first",
    "member_last",
    "sha256",
)


def unpack(package: str, cache_folder: Path) -> Path:
    """Download, check and unpack a package; return the part that holds its sounds."""
    version, wanted, inside = PACKAGES[package]
    return packages.unpack(package, version, wanted, cache_folder) / inside


def trim(samples: Samples, rate: int, start_s: float) -> tuple[Samples, float, float]:
    """Cut leading silence and everything after ``LONGEST_S``, and fade the end.

    Returns:
        The excerpt, and where it begins and ends in ``samples``, in seconds.
    """
    begin = round(start_s * rate)
    level = np.abs(samples[begin:])
    loud = begin + np.flatnonzero(level > level.max() * 10 ** (SILENCE_DB / 20))
    first = max(begin, int(loud[0]) - round(FADE_S * rate))
    last = min(int(loud[-1]) + round(FADE_S * rate), first + round(LONGEST_S * rate))
    cut = samples[first : last + 1].copy()
    n_fade = min(round(FADE_S * rate), cut.size // 4)
    fade = np.linspace(0.0, 1.0, n_fade, endpoint=False)
    cut[cut.size - n_fade :] *= fade[::-1]
    return cut, first / rate, (first + cut.size) / rate


def encode(samples: Samples, rate: int) -> bytes:
    """Write FLAC: mono, 16 bits, at most 32 kHz, loudness as recorded."""
    if rate > SAMPLE_RATE:
        samples, rate = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ"), SAMPLE_RATE
    pcm = np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return buffer.getvalue()


def slug(text: str) -> str:
    """Turn a member's name into a file name.

    >>> slug("Sound.ocg/Fire.ocg/Blast1.wav"), slug("Std Kick 1(L)")
    ('fire-blast1', 'std-kick-1')
    >>> slug("doors/sounds/doors_door_open.ogg")
    'doors-door-open'
    """
    text = unicodedata.normalize("NFKD", text).replace("#", "s")
    text = re.sub(r"\.(wav|ogg|flac|ocg)\b|\(L\)?|Sound\.ocg/|\w+/sounds/|.*__", "", text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def make(cache_folder: Path) -> int:
    """Write every clip and its row; return the size of all clips in bytes."""
    cache_folder.mkdir(parents=True, exist_ok=True)
    with SOURCES.open(newline="", encoding="utf-8") as file:
        selection = list(csv.DictReader(file))
    tables: dict[str, list[dict[str, str]]] = {"sounds": [], "examples": [], "queries": []}
    clips: dict[Path, bytes] = {}
    for row in selection:
        place = unpack(row["package"], cache_folder)
        samples, rate = read_member(place, row["member"])
        cut, start_s, end_s = trim(samples, rate, float(row["start_s"] or 0))
        data = encode(cut, rate)
        name = slug(row["member"]) + (f"-{row['start_s']}s" if row["start_s"] else "")
        path = part_folder(row["part"]) / slug(row["label"]) / f"{name}.flac"
        if path in clips:
            raise SystemExit(f"{row['member']}: {path} stands twice; want distinct names")
        clips[path] = data
        tables[row["part"]].append(
            {
                "file_name": path.relative_to(part_folder(row["part"])).as_posix(),
                "label": row["label"],
                "group": row["group"],
                "author": row["author"],
                "licence": row["licence"],
                "package": row["package"],
                "package_version": PACKAGES[row["package"]][0],
                "member": row["member"],
                "member_first": f"{start_s:.3f}",
                "member_last": f"{end_s:.3f}",
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    # Only now, with every sound read, does the old corpus go.
    for part in tables:
        shutil.rmtree(part_folder(part), ignore_errors=True)
    for path, data in clips.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for part, rows in tables.items():
        with (part_folder(part) / "metadata.csv").open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, fieldnames=COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda item: item["file_name"]))
    return sum(map(len, clips.values()))


def part_folder(part: str) -> Path:
    """Return the folder of ``sounds``, ``examples`` or ``queries``."""
    return TARGET / part if part == "sounds" else TARGET / "unseen" / part


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where packages are kept")
    total = make(parser.parse_args().cache.resolve())
    print(f"{TARGET}: {total / 1e6:.1f} MB of audio")


if __name__ == "__main__":
    main()
