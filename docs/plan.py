"""The tables of docs/scale-out: large indexes and stores as measured, and what more rows take.

What is measured comes from ``benchmarks/results``. What is assumed stands in ``ASSUMED``, and
everything else is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from benchmarks.index_types import TITLES
from benchmarks.small_table import markdown_table
from benchmarks.turns import kept

SIZES: Final = (10**6, 10**7, 10**8, 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What nobody measured: prices in US dollars, and sizes."""

    core_hour: float = 0.04
    gb_month: float = 0.023
    thousand_gets: float = 0.0004
    clip_s: float = 10.0
    clip_mb: float = 0.5
    shard_mb: float = 100.0
    cores: int = 1024
    rows_a_part: int = 16_000_000
    rows_a_fragment: int = 250_000


ASSUMED: Final = Assumed()
# Numbers a vector, and class scores a row of two bytes each.
_CLAP_DIM: Final = 512
_SMALL_DIM, _SMALL_CLASSES = 384, 521


def _sizes() -> dict[int, dict[str, Any]]:
    sizes = kept("large_index")["sizes"]
    return {int(n): {"rows": int(n), **own} for n, own in sizes.items()}


def _largest() -> tuple[int, dict[str, Any]]:
    """Return the largest size of which all was measured, and what was."""
    needed = {"write", "go on", "approximate", "search", "train", "parts"}
    whole = {n: own for n, own in _sizes().items() if needed <= own.keys()}
    return max(whole.items())


def _count(n: int) -> str:
    return f"10^{len(str(n)) - 1}" if str(n).strip("0") == "1" else f"{n:,}"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e3:.3g} kB"


def _cores(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:,.0f} core-{unit}"
    return f"{seconds:.0f} core-s"


def _dollars(value: float) -> str:
    return f"{value:,.0f} $" if value >= 10 else f"{value:.2f} $"


# --- as measured ---------------------------------------------------------------------------


def sizes() -> str:
    """Return the table of indexes of several sizes."""
    told = kept("large_index")
    rows = []
    every = _sizes()

    def line(title: str, cell: Any) -> None:
        cells = []
        for own in every.values():
            try:
                cells.append(cell(own))
            except KeyError:
                cells.append("not measured")
        rows.append([title, *cells])

    line(
        "adding a row, ms of one core",
        lambda o: f"{o['write']['add_cpu_s'] / o['rows'] * 1000:.2f}",
    )
    line("a row on disk, bytes", lambda o: f"{o['write']['bytes_a_row']:,.0f}")
    line("peak memory of adding", lambda o: _bytes(o["write"]["peak_bytes"]))
    line("looking up what is known, s of one core", lambda o: f"{o['go on']['stage_cpu_s']:.0f}")
    line("the same, peak memory", lambda o: _bytes(o["go on"]["peak_bytes"]))
    line("counts of labels, s of one core", lambda o: f"{o['labels']['stage_cpu_s']:.1f}")
    line(
        "approximate index in one process, s of one core, recall measured",
        lambda o: f"{o['approximate']['stage_cpu_s']:.0f}",
    )
    line("the same, peak memory", lambda o: _bytes(o["approximate"]["peak_bytes"]))
    line("its bytes a row", lambda o: f"{o['approximate']['bytes_a_row']:.1f}")
    line("recall@10 on rows of the index", lambda o: f"{o['approximate']['recall']:.3f}")
    line("recall@10 on other vectors", lambda o: f"{o['search']['recall']:.3f}")
    line(
        "partitions looked at, and there are",
        lambda o: f"{o['approximate']['n_probes']} of {o['approximate']['n_partitions']}",
    )
    line("a query, ms of one core", lambda o: f"{o['search']['cpu_ms']:.1f}")
    line("peak memory of searching", lambda o: _bytes(o["search"]["search_peak_bytes"]))
    line("in parts: training, s of one core", lambda o: f"{o['train']['stage_cpu_s']:.0f}")
    line(
        "the parts, s of one core",
        lambda o: f"{sum(part['stage_cpu_s'] for part in o['parts']):.0f}",
    )
    line(
        "peak memory of a part",
        lambda o: _bytes(max(part["peak_bytes"] for part in o["parts"])),
    )
    line("recall@10 on other vectors", lambda o: f"{o['search of parts']['recall']:.3f}")
    line("a query, ms of one core", lambda o: f"{o['search of parts']['cpu_ms']:.1f}")
    line("exact search, ms of one core", lambda o: f"{o['exact']['cpu_ms']:.1f}")
    line("the same, peak memory", lambda o: _bytes(o["exact"]["peak_bytes"]))
    head = ["", *(f"{_count(n)} rows" for n in every)]
    machine = told["machine"]
    return markdown_table(head, rows) + (
        f"\n\nRows of {told['dim']} numbers in {told['clusters']:,} clusters, the {told['k']} "
        f"nearest, {told['queries']} queries, a recall of {told['wanted']:.0%} asked for. Measured "
        f"on {machine['cpu']}, {machine['cpus']} cores that other work shared: read the processor "
        "times and the memory, and no wall time."
    )


def kinds() -> str:
    """Return the tables of kinds of approximate indexes."""
    told = kept("index_types")
    parts = []
    for n, own in told["sizes"].items():
        rows = []
        for kind, title in TITLES.items():
            if kind not in own:
                rows.append([title, *["not measured"] * 6])
                continue
            found = own[kind]
            chosen = found["chosen"]
            refined = "" if chosen["refine"] is None else f"{chosen['refine']}"
            short = "" if chosen["recall"] >= told["wanted"] else "**, short**"
            build = f"{found['build_cpu_s']:.0f}" if "build_cpu_s" in found else ""
            size = f"{found['bytes_a_row']:.0f}" if "bytes_a_row" in found else ""
            probes = "" if kind == "exact" else f"{chosen['probes']}"
            recall = f"{chosen['recall']:.3f}{short}"
            rows.append([title, build, size, probes, refined, recall, f"{chosen['cpu_ms']:.1f}"])
        head = [
            f"{_count(int(n))} rows",
            "build, s of one core",
            "bytes a row",
            "partitions looked at",
            "refined",
            f"recall@{told['k']}",
            "a query, ms of one core",
        ]
        parts.append(markdown_table(head, rows))
    return "\n\n".join(parts)


def store() -> str:
    """Return the table of an index in an object store beside one in a folder."""
    told = kept("object_store")
    build, opened = told["build"], told["open"]
    ratio = f"{build['ratio']:.2f} (wanted: at most {build['wanted']:g})"
    rows = [
        ["build", f"{build['folder_s']:.1f} s", f"{build['store_s']:.1f} s", ratio],
        [
            "open what has not changed",
            f"{opened['folder_ms']:.1f} ms",
            f"{opened['store_ms']:.1f} ms",
            "",
        ],
    ]
    return markdown_table(["", "folder", "store", "ratio"], rows)


def shards() -> str:
    """Return the tables of merged rows, and of two shards beside one build."""
    told = kept("shards")
    merged = [
        [title, f"{told['merge'][name]['rows_per_cpu_s']:,}", wanted]
        for name, title, wanted in (
            ("merge", "merged, all digests computed again", "20,000"),
            ("the same again", "the same once more, which changes nothing", ""),
            ("merge with prefix", "merged with `--prefix`, which makes all digests anew", ""),
        )
    ]
    build, ratio = told["build"], told["build"]["ratio"]
    return "\n".join(
        [
            markdown_table(["rows", "a second of one core", "wanted"], merged),
            "",
            f"Two shards at once and their merge took {ratio['wall_s']:.2f} times as long as one "
            f"build (wanted: at most 1.1) and {ratio['cpu_s']:.2f} times its processor time: "
            f"{build['clips']:,} clips of 2 s, `{build['embedder']}`, {told['cpus']} cores, "
            "the start of three processes included, which weighs more where clips are few.",
        ]
    )


def ray() -> str:
    """Return the table of builds by Ray's workers beside a local one."""
    told = kept("ray_build")
    found, runs = told["compared"], told["runs"]["two workers"]
    rows = [
        [
            "processor time, two workers beside the local build",
            f"{found['two_workers_cpu_beside_local']:.2f}",
            "at most 1.15",
        ],
        [
            "processor time, one worker beside it",
            f"{found['one_worker_cpu_beside_local']:.2f}",
            "at most 1.15",
        ],
        [
            "clips a second, two workers beside one",
            f"{found['two_workers_rate_beside_one']:.2f}",
            "at least 1.7",
        ],
        [
            "clips a second, one worker beside the local build",
            f"{found['one_worker_rate_beside_local']:.2f}",
            "",
        ],
        [
            "memory of a worker",
            _bytes(max(run["worker_peak_bytes"] for run in runs)),
            "",
        ],
        [
            "the same, less the local build's memory",
            f"{found['worker_bytes_beyond_local'] / 1e6:.0f} MB",
            "at most 300 MB",
        ],
        [
            "processor time of a Ray of one's own, until the first result",
            f"{found['start_cpu_s']:.0f} s",
            "at most 30 s",
        ],
        [
            "its memory then, all processes, shared pages in each",
            _bytes(found["start_resident_bytes"]),
            "1.6 GB",
        ],
    ]
    load = max(run["load_average"] for way in told["runs"].values() for run in way)
    return "\n".join(
        [
            markdown_table(["", "measured", "wanted"], rows),
            "",
            f"{runs[0]['rows']:,} clips of {told['clip_s']:g} s, `{told['embedder']}`, "
            f"{told['cpus']} cores, medians of {len(runs)} rounds; a load of up to {load:g} while "
            "it ran, these processes among it. Processor time is that of all of Ray's processes, "
            "less that of a build of a few clips.",
        ]
    )


# --- the plan ------------------------------------------------------------------------------


def _row_bytes(dim: int, n_classes: int = 0) -> float:
    """Return the bytes of a row of another length: its numbers apart, as measured."""
    told = kept("large_index")
    _, own = _largest()
    return float(own["write"]["bytes_a_row"]) + 4 * (dim - told["dim"]) + 2 * n_classes


def _clap_s() -> float:
    """Return the seconds of one core that a clip takes with LAION-CLAP, decoding included."""
    return float(kept("embedding")["wav"]["earful, one core"]["ms"]["median"]) / 1000


def _small_s() -> float:
    """Return the seconds of one core that a decoded clip takes with earful-small."""
    minute = kept("trunks")["forms"]["one recording of 60 s"]["earful-small"]["ms"]["median"]
    return float(minute) / 1000 * ASSUMED.clip_s / 60


def _build_s(n: int) -> float:
    """Return the seconds of one core that an approximate index takes, from the largest measured.

    With half the square root of the rows as partitions, training grows with the rows, and giving
    each row its partition with the rows and the partitions.
    """
    measured, own = _largest()
    times = n / measured
    parts = sum(part["stage_cpu_s"] for part in own["parts"])
    return float(own["train"]["stage_cpu_s"] * times + parts * times**1.5)


def _known_bytes() -> float:
    """Return the bytes that one more known row takes, from two sizes."""
    sizes = _sizes()
    few, many = min(sizes), _largest()[0]
    peaks = [sizes[n]["go on"]["peak_bytes"] for n in (few, many)]
    return float((peaks[1] - peaks[0]) / (many - few))


def _parts(n: int) -> int:
    return max(1, -(-n // ASSUMED.rows_a_part))


def plan() -> str:
    """Return the table of what numbers of clips take."""
    _, own = _largest()
    longer = _CLAP_DIM / kept("large_index")["dim"]
    index_bytes = float(own["approximate"]["bytes_a_row"]) * longer
    rows = []
    for n in SIZES:
        parts = _parts(n)
        known = _known_bytes() * n / parts
        clap, disk = _clap_s() * n, _row_bytes(_CLAP_DIM) * n
        rows.append(
            [
                _count(n),
                f"{_cores(clap)}, {_dollars(clap / 3600 * ASSUMED.core_hour)}",
                f"{_bytes(disk)}, {_dollars(disk / 1e9 * ASSUMED.gb_month)} a month",
                f"{parts} of {n / parts / 1e6:.1f} M rows, {_bytes(known)} each",
                _bytes(index_bytes * n),
                _cores(_build_s(n) * longer),
                "exact or approximate" if n <= 10**6 else "approximate",
            ]
        )
    head = [
        "clips",
        "embedding",
        "rows on disk",
        "build in parts, and what is known of one",
        "approximate index",
        "to build it",
        "search",
    ]
    return markdown_table(head, rows)


def rates() -> str:
    """Return the measured rates that the plan begins from."""
    measured, own = _largest()
    told, machine = kept("large_index"), kept("embedding")["machine"]
    trunks = kept("trunks")["machine"]
    parts = sum(part["stage_cpu_s"] for part in own["parts"])
    lines = [
        f"a clip of {ASSUMED.clip_s:g} s with LAION-CLAP, decoding included: "
        f"{_clap_s() * 1000:.1f} ms of one core (`./dev bench embedding`, {machine['cpu']}, "
        "bfloat16)",
        f"the same with earful-small, decoding apart: {_small_s() * 1000:.0f} ms of one core "
        f"(`./dev bench trunks`, {trunks['cpu']})",
        f"a row of {told['dim']} numbers: {own['write']['bytes_a_row']:,.0f} bytes; of "
        f"{_CLAP_DIM} (LAION-CLAP) {_row_bytes(_CLAP_DIM):,.0f}, of {_SMALL_DIM} and "
        f"{_SMALL_CLASSES} class scores (earful-small) "
        f"{_row_bytes(_SMALL_DIM, _SMALL_CLASSES):,.0f}, computed",
        f"adding a row: {own['write']['add_cpu_s'] / measured * 1000:.2f} ms of one core",
        f"a row that is known: {_known_bytes():.0f} bytes of memory while a build runs",
        f"the approximate index: {own['approximate']['bytes_a_row']:.1f} bytes a row of "
        f"{told['dim']} numbers",
        f"its {own['approximate']['n_partitions']} partitions at {_count(measured)} rows: "
        f"{own['train']['stage_cpu_s']:.0f} s of one core to train, {parts:.0f} to fill",
        f"a query: {own['search']['cpu_ms']:.1f} ms of one core at {_count(measured)} rows, with a "
        f"recall of {own['search']['recall']:.3f}",
    ]
    return "\n".join(f"- {line}" for line in lines)


def assumptions() -> str:
    """Return what the plan assumes."""
    one = ASSUMED
    lines = [
        f"a core-hour {one.core_hour} $, object storage {one.gb_month} $ for a GB and month, a "
        f"thousand reads {one.thousand_gets} $",
        f"a clip of {one.clip_s:g} s is {one.clip_mb} MB (FLAC), in shards of {one.shard_mb:g} MB",
        f"parts of at most {one.rows_a_part:,} rows, fragments of {one.rows_a_fragment:,}",
        f"{one.cores:,} cores",
    ]
    return "\n".join(f"- {line}" for line in lines)


def reading() -> str:
    """Return the sentences about the largest size: time, reading, commits, queries."""
    n, one = max(SIZES), ASSUMED
    embedding_s = _clap_s() * n / one.cores
    audio = n * one.clip_mb * 1e6
    gets = n / 1000 * one.thousand_gets
    n_shards = audio / (one.shard_mb * 1e6)
    measured, own = _largest()
    query_s = float(own["search"]["cpu_ms"]) / 1000
    return (
        f"Embedding {_count(n)} clips on {one.cores:,} cores takes {embedding_s / 3600:.1f} hours, "
        f"if they are read as fast: {_bytes(audio)} of audio, {audio / embedding_s / 1e9:.1f} GB/s "
        f"all the while, and {_dollars(audio / 1e9 * one.gb_month)} a month to keep. Read one by "
        f"one they are {_dollars(gets)} of requests; in shards of {one.shard_mb:g} MB "
        f"{n_shards:,.0f} requests, {_dollars(n_shards / 1000 * one.thousand_gets)}. The table "
        f"then has {n / one.rows_a_fragment:,.0f} fragments of {one.rows_a_fragment:,} rows. One "
        f"core answers {1 / query_s:,.0f} approximate queries a second at {_count(measured)} "
        f"rows; how many at {_count(n)} was not measured."
    )
