"""Which packages the corpus is made of, which of their sounds, and how to get them.

``packages/NAME.toml`` pins a Debian package, ``packages/NAME.csv`` lists its sounds with
label, caption, author and licence, ``labels/*.csv`` says what each label is. A package of role
``train`` may be trained on, so every one of its rows has a licence of ``FREE``; one of role
``foreign`` is there to be tested on only.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FREE = {
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-1.0",
    "CC-BY-2.0",
    "CC-BY-2.5",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC0-1.0",
    "MIT",
    "public-domain",
}
ROLES = ("train", "foreign")
CLIP_COLUMNS = ("member", "start_s", "label", "caption", "group", "author", "licence")
LABEL_COLUMNS = ("label", "coarse", "family", "held_out", "synonyms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A pinned Debian package and the part of it that holds sounds.

    ``held_back`` names groups, of any package, kept out of training to test on sources that
    were not heard; ``note_s`` says how long a SoundFont's looped recordings are held.
    """

    name: str
    package: str
    version: str
    sha256: str
    inside: str
    role: str
    note: str
    held_back: tuple[str, ...] = ()
    note_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a role nobody knows."""
        if self.role not in ROLES:
            raise SystemExit(f"{self.name}: role {self.role!r}; want one of {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One row of a package's table; ``start_s`` is None where nothing was said."""

    member: str
    start_s: float | None
    label: str
    caption: str
    group: str
    author: str
    licence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a label is: its coarse class, its family of near-synonyms, and if it is trained."""

    label: str
    coarse: str
    family: str
    held_out: bool
    synonyms: tuple[str, ...]


def unpack(name: str, version: str, wanted: str, cache_folder: Path) -> Path:
    """Download, check and unpack a Debian package; return the folder it was unpacked to.

    Nothing in the package is run.
    """
    folder = cache_folder / f"{name}-{wanted[:8]}"
    if not folder.exists():
        command = ["apt-get", "download", f"{name}={version}"]
        subprocess.run(command, cwd=cache_folder, check=True, capture_output=True)
        (deb,) = cache_folder.glob(f"{name}_*.deb")
        found = hashlib.sha256(deb.read_bytes()).hexdigest()
        if found != wanted:
            raise SystemExit(f"{deb}: sha256 {found}; want {wanted}")
        # Renamed when whole: an interrupted unpacking must not pass for a package.
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run(["dpkg", "-x", str(deb), str(partial)], check=True)
        partial.rename(folder)
    return folder


def read_packages(folder: Path = HERE / "packages") -> list[Package]:
    """Read every package's pin, those that may be trained on first, then by name."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        fields["held_back"] = tuple(fields.get("held_back", ()))
        try:
            package = Package(name=path.stem, **{"package": path.stem, **fields})
        except TypeError as error:
            raise SystemExit(f"{path}: {error}") from error
        found.append(package)
    return sorted(found, key=lambda item: (ROLES.index(item.role), item.name))


def read_clips(package: Package, folder: Path = HERE / "packages") -> list[Clip]:
    """Read a package's table; refuse a licence that its role does not allow."""
    path = folder / f"{package.name}.csv"
    clips = []
    for number, row in _rows(path, CLIP_COLUMNS):
        empty = [key for key in CLIP_COLUMNS if key != "start_s" and not row[key]]
        if empty:
            raise SystemExit(f"{path}:{number}: no {', '.join(empty)}")
        if package.role == "train" and row["licence"] not in FREE:
            raise SystemExit(
                f"{path}:{number}: licence {row['licence']}; to be trained on it must be one of "
                f"{', '.join(sorted(FREE))}"
            )
        start_s = float(row["start_s"]) if row["start_s"] else None
        rest = {key: row[key] for key in CLIP_COLUMNS if key != "start_s"}
        clips.append(Clip(start_s=start_s, **rest))
    return clips


def read_labels(folder: Path = HERE / "labels") -> dict[str, Label]:
    """Read what every label is; refuse a family of which only a part is held out."""
    labels: dict[str, Label] = {}
    families: dict[str, Label] = {}
    for path in sorted(folder.glob("*.csv")):
        for number, row in _rows(path, LABEL_COLUMNS):
            if row["held_out"] not in {"yes", "no"}:
                raise SystemExit(f"{path}:{number}: held_out {row['held_out']!r}; want yes or no")
            label = Label(
                label=row["label"],
                coarse=row["coarse"],
                family=row["family"],
                held_out=row["held_out"] == "yes",
                synonyms=tuple(word for word in row["synonyms"].split(";") if word),
            )
            if labels.setdefault(label.label, label) is not label:
                raise SystemExit(f"{path}:{number}: label {label.label!r} stands twice")
            first = families.setdefault(label.family, label)
            if first.held_out != label.held_out:
                raise SystemExit(
                    f"{path}:{number}: {label.label!r} and {first.label!r} are of one family, "
                    "and one of them alone is held out"
                )
            labels[label.label] = label
    return labels


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != columns:
            raise SystemExit(f"{path}: columns {reader.fieldnames}; want {', '.join(columns)}")
        return [(number, row) for number, row in enumerate(reader, start=2)]
