"""Write every clip of the corpus, its manifest, and what was left out and why."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import soundfile
from training.corpus.archives import read_member
from training.corpus.duplicates import Duplicates
from training.corpus.excerpt import SHORTEST_S, to_flac, to_pcm, trim
from training.corpus.packages import (
    HERE,
    ROLES,
    Clip,
    Label,
    Package,
    read_clips,
    read_labels,
    read_packages,
    unpack,
)

COLUMNS = (
    "file_name",
    "label",
    "coarse",
    "family",
    "caption",
    "group",
    "source",
    "author",
    "licence",
    "role",
    "split",
    "member",
    "start_s",
    "duration_s",
    "sha256",
)
DROPPED_COLUMNS = ("source", "member", "start_s", "label", "reason")


def build(
    cache_folder: Path, out: Path, roles: Iterable[str] = ROLES, tables: Path = HERE
) -> dict[str, int]:
    """Write ``clips/``, ``manifest.csv`` and ``dropped.csv``; return the rows by split.

    Args:
        cache_folder: Where packages are downloaded and unpacked to.
        out: Where clips and tables are written; clips that stand there go.
        roles: Which packages to take.
        tables: The folder with ``packages/`` and ``labels/``.
    """
    labels = read_labels(tables / "labels")
    every = read_packages(tables / "packages")
    held_back = {group for package in every for group in package.held_back}
    cache_folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "clips", ignore_errors=True)
    seen = Duplicates()
    manifest: list[dict[str, str]] = []
    dropped: list[dict[str, str]] = []
    for package in (item for item in every if item.role in set(roles)):
        clips = read_clips(package, tables / "packages")
        unknown = sorted({clip.label for clip in clips} - set(labels))
        if unknown:
            raise SystemExit(f"{package.name}: labels in no table: {', '.join(unknown)}")
        folder = unpack(package.package, package.version, package.sha256, cache_folder)
        for row in _package_rows(package, clips, folder / package.inside, out, seen):
            if "reason" in row:
                dropped.append(row)
            else:
                label = labels[row["label"]]
                row |= {"coarse": label.coarse, "family": label.family}
                row["split"] = split(package.role, label, row["group"] in held_back)
                manifest.append(row)
    _write(out / "manifest.csv", COLUMNS, manifest)
    _write(out / "dropped.csv", DROPPED_COLUMNS, dropped)
    counts = {"dropped": len(dropped)}
    for row in manifest:
        counts[row["split"]] = counts.get(row["split"], 0) + 1
    return counts


def split(role: str, label: Label, is_held_back: bool) -> str:
    """Return what a clip is for.

    ``train``, or one of three ways to test: ``new_source``, a trained label from a source that
    was held back; ``held_out``, a label of which no near-synonym is trained; ``foreign``, a
    package that may only be tested on, whatever the label.
    """
    if role == "foreign":
        return "foreign"
    if label.held_out:
        return "held_out"
    return "new_source" if is_held_back else "train"


def _package_rows(
    package: Package, clips: list[Clip], place: Path, out: Path, seen: Duplicates
) -> Iterable[dict[str, str]]:
    """Write a package's clips; yield a manifest row, or one with a reason, for each."""
    taken: dict[str, int] = {}
    for clip in clips:
        # Excerpts of one recording do not overlap: each ends where the next begins.
        later = [
            other.start_s
            for other in clips
            if other.member == clip.member and (other.start_s or 0.0) > (clip.start_s or 0.0)
        ]
        end_s = min((start for start in later if start is not None), default=None)
        try:
            samples, rate = read_member(place, clip.member, package.note_s)
        except (KeyError, OSError, soundfile.LibsndfileError) as error:
            raise SystemExit(f"{package.name}: {clip.member}: cannot be read: {error}") from error
        cut, start_s = trim(samples, rate, clip.start_s, end_s)
        pcm, rate = to_pcm(cut, rate)
        row = {
            "source": package.name,
            "member": clip.member,
            "start_s": f"{start_s:.3f}",
            "label": clip.label,
        }
        stem = slug(clip.member) + (f"-{start_s:g}s" if clip.start_s else "")
        taken[stem] = taken.get(stem, 0) + 1
        name = f"{package.name}/{stem}" + (f"-{taken[stem]}" if taken[stem] > 1 else "")
        if not pcm.any():
            yield row | {"reason": "only silence"}
        elif pcm.size < SHORTEST_S * rate:
            yield row | {"reason": f"{pcm.size / rate:.3f} s; want {SHORTEST_S} s"}
        elif reason := seen.find(name, pcm, rate):
            yield row | {"reason": reason}
        else:
            path = out / "clips" / f"{name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_flac(pcm, rate))
            yield row | {
                "file_name": path.relative_to(out).as_posix(),
                "caption": clip.caption,
                "group": clip.group,
                "author": clip.author,
                "licence": clip.licence,
                "role": package.role,
                "duration_s": f"{pcm.size / rate:.3f}",
                "sha256": hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest(),
            }


def slug(text: str) -> str:
    """Turn a member's name into a file name.

    >>> slug("Acoustic Bass F#4"), slug("Sound.ocg/Fire.ocg/Blast1.wav")
    ('acoustic-bass-fs4', 'sound-fire-blast1')
    """
    text = unicodedata.normalize("NFKD", text).replace("#", "s")
    text = re.sub(r"\.(wav|ogg|oga|flac|ocg)\b", "", text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
