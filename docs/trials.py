"""The tables of ``reliability.md``, from what the trials wrote beside themselves."""

from __future__ import annotations

from pathlib import Path

from benchmarks.small_table import markdown_table
from benchmarks.turns import kept

FIGURES = Path(__file__).resolve().parent.parent / "tests" / "reliability" / "figures"
# What was killed: the file of figures, and how the page calls it.
KILLED = {
    "kills-build": "`index build`, decoding in the same process",
    "kills-build-decoding-apart": "`index build`",
    "kills-add": "`index add`",
    "kills-remove": "`index remove`",
    "kills-shards": "`index build --shard`, of three shards each",
    "kills-merge": "`index merge`",
    "kills-units": "a driver that commits units",
    "kills-push": "`index push`",
    "kills-pull": "`index pull`",
    "kills-compact": "`index compact`",
    "kills-repair": "`index verify --repair`",
    "kills-features": "`index features`",
    "kills-convert": "`models convert`",
    "kills-evaluate": "`evaluate`",
    "kills-scan": "`scan`",
    "kills-labels": "labelling, with commits into an index",
    "kills-serve": "`serve`, labelled over HTTP",
}


def kills() -> str:
    """Return the table of SIGKILL trials."""
    rows = []
    for name, command in KILLED.items():
        told = kept(name, FIGURES)
        acknowledged = [
            f"{n:,} {key.removesuffix('_acknowledged')}"
            for key, n in told.items()
            if key.endswith("_acknowledged")
        ]
        counts = (f"{told[key]:,}" for key in ("trials", "killed"))
        rows.append([command, *counts, "".join(acknowledged)])
    together = [sum(kept(name, FIGURES)[key] for name in KILLED) for key in ("trials", "killed")]
    rows.append(["together", *(f"{count:,}" for count in together), ""])
    return markdown_table(["", "runs", "killed", "acknowledged before"], rows)


def audio() -> str:
    """Return the table of hostile recordings."""
    cases, mutants = kept("audio-cases", FIGURES), kept("mutated-audio", FIGURES)
    rows = [
        [
            "one of each kind of broken, dishonest or odd file",
            f"{cases['cases']:,}",
            f"{cases['accepted']:,}",
            f"{cases['refused']:,}",
            f"{cases['cases'] - cases['accepted'] - cases['refused']:,}",
            f"{cases['slowest_s']:g} s",
            f"{cases['most_mib']:,.0f} MiB",
        ],
        [
            f"mutants of valid files in {mutants['formats']} formats",
            f"{mutants['tried']:,}",
            f"{mutants['accepted']:,}",
            f"{mutants['refused']:,}",
            f"{mutants['crashes'] + mutants['hangs'] + mutants['other_errors']:,}",
            f"{mutants['slowest_s']:g} s",
            f"{mutants['most_mib']:,.0f} MiB",
        ],
    ]
    head = ["", "files", "heard", "refused in one line", "crashes, hangs, other errors"]
    return markdown_table([*head, "most processor time", "most memory"], rows)


def tables() -> str:
    """Return the table of hostile tables, task files and files of data sets."""
    rows = []
    for name, what in (
        ("mutated-tables", "mutated tables and task files"),
        ("mutated-dataset-files", "mutated files of data sets"),
    ):
        told = kept(name, FIGURES)
        counts = (told[key] for key in ("tried", "accepted", "refused"))
        rows.append([what, *(f"{count:,}" for count in counts)])
    return markdown_table(["", "tried", "read", "refused in one line"], rows)


def damage() -> str:
    """Return the table of damage, full disks and races."""
    hurt, full = kept("damage", FIGURES), kept("full-disk", FIGURES)
    races, builds = kept("races", FIGURES), kept("races-builds", FIGURES)
    rows = [
        [
            "a file of an index flipped, cut, zeroed or deleted",
            f"{hurt['trials']:,}",
            f"{hurt['answered_same']:,} answered as before, {hurt['refused']:,} refused, "
            f"{hurt['warned_of_missing_rows']:,} warned of missing rows; "
            f"{hurt['repaired']:,} mended by `verify --repair`",
        ],
        [
            "a disk that fills up",
            f"{full['trials']:,}",
            "one clear line each, the index as it was, and the same command finished once there "
            "was room",
        ],
        [
            f"{races['writers']} writers and {races['readers']} readers at once",
            f"{races['commits']:,} commits, {races['reads']:,} reads",
            f"{races['told_busy']:,} times a writer was told that another was at it",
        ],
        [
            "builds of one corpus at once",
            f"{builds['builds']:,}",
            f"{builds['rows']:,} rows, each once; {builds['told_busy']:,} times told to wait",
        ],
    ]
    return markdown_table(["", "trials", "what came of it"], rows)


def page() -> str:
    """Return the table of the page's server under load."""
    once, turns = kept("serve-at-once", FIGURES), kept("serve-turns", FIGURES)
    memory, slow = kept("serve-memory", FIGURES), kept("serve-slow", FIGURES)
    writers = kept("races-labels", FIGURES)
    rows = [
        [
            "requests of all kinds at once",
            f"{once['requests']:,}",
            f"all answered; {once['labels']:,} of them labels, each kept once",
        ],
        [
            "requests of one page, while another asks once",
            f"{turns['asked']:,}",
            f"the other waits for {turns['waited_questions']:,} questions, or for "
            f"{turns['waited_pictures']:,} pictures",
        ],
        [
            "requests one after the other",
            f"{memory['requests']:,}",
            f"resident memory from {memory['first_mib']:,} to {memory['last_mib']:,} MiB",
        ],
        [
            "requests that trickle in",
            f"{slow['slow']:,}",
            f"each given up; {slow['answered_meanwhile']:,} others answered meanwhile",
        ],
        [
            f"labels by {writers['writers']} writers at once",
            f"{writers['labels']:,}",
            "each kept once",
        ],
    ]
    return markdown_table(["", "tried", "what came of it"], rows)
