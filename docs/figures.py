"""Write the tables of our pages from ``benchmarks/results/``; ``--check`` only compares.

Run it with ``./dev docs``. No measured number is typed by hand: each block between
``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is made here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.small_table import few_shot_table, interval_cell

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def _results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def accuracy() -> str:
    """Return the table of the demo corpus's accuracy."""
    results = _results("demo_accuracy")
    parts = {
        "across sources": "leave one source out",
        "across packages": "leave one package out",
        "unseen labels": "unseen labels",
    }
    ours = [results["earful-tiny"][part] for part in parts.values()]
    heads = [
        f"{words}: {part['n']} clips, {part['n_labels']} labels"
        for words, part in zip(parts, ours, strict=True)
    ]
    table = [["arm", *heads], ["---"] * (1 + len(parts))]
    for words, baseline in (("chance", "chance"), ("majority class", "majority")):
        table.append([words, *(f"{part[baseline]:.1%}" for part in ours)])
    arms = (("1-NN", "nearest clip"), ("vote", "vote, as `earful classify --model none`"))
    for name in ("logmel", "earful-tiny", "difference"):
        for arm, words in arms:
            cells = [interval_cell(results[name][part].get(arm)) for part in parts.values()]
            title = f"`{name}`, {words}" if name != "difference" else f"difference, {words}"
            table.append([title, *cells])
    return _table(table)


def evaluation() -> str:
    """Return the table of every arm on the demo corpus, and the verdict."""
    told = _results("evaluation")
    table = [["arm", "accuracy", "macro F1"], ["---"] * 3]
    for arm in told["arms"]:
        right, f1 = arm["metrics"]["accuracy"], arm["metrics"]["macro-f1"]
        interval = (right["value"], right["low"], right["high"])
        table.append([f"`{arm['name']}`", interval_cell(interval), f"{f1['value']:.1%}"])
    return "\n".join(
        [
            _table(table),
            "",
            f"{told['n_items']} clips from {told['n_groups']} sources. The verdict, as printed: "
            f"*{told['verdict']['text']}*",
        ]
    )


def speed() -> str:
    """Return the sentences on search and memory."""
    search, memory = _results("search"), _results("build_memory")["logmel"]
    scoring, few_shot = _results("label_scoring"), _results("few_shot")
    (labels,) = (run for name, run in scoring.items() if name.startswith("OPT-125M, float32, CPU"))
    times = [labels[f"{n} labels"]["separate"]["times_packed"] for n in (10, 50)]
    kept = [labels[f"{n} labels"]["kept prompt"]["times_packed"] for n in (10, 50)]
    ms = {name: row["median"] for name, row in search["search_ms"].items()}
    manifest = _results("manifest")["CSV table"]
    small, large = memory["1000 rows"], memory["10000 rows"]
    return "\n".join(
        [
            f"- `./dev bench search`: the {search['k']} nearest of {search['rows']:,} rows x "
            f"{search['dim']} in {ms['earful']:.1f} ms (median of {search['queries']} queries, "
            f"{search['threads']} thread, {search['machine']}); in the same run naive NumPy took "
            f"{ms['NumPy argsort']:.1f} ms, FAISS flat {ms['FAISS flat']:.1f} ms, LanceDB flat "
            f"{ms['LanceDB flat']:.1f} ms.",
            f"- `./dev bench build_memory`: building {large['rows']:,} rows peaked at "
            f"{large['peak_rss_bytes'] / 1e6:.0f} MB, {small['rows']:,} rows at "
            f"{small['peak_rss_bytes'] / 1e6:.0f} MB (`logmel`).",
            f"- `./dev bench manifest`: a table of {manifest['many']['rows']:,} rows is read as a "
            f"stream at a peak of {manifest['many']['peak_rss_bytes'] / 1e6:.0f} MB, "
            f"{manifest['bytes_per_further_row']:.0f} bytes a further row.",
            f"- `./dev bench label_scoring`: a Flamingo ({labels['model']}) scores 10 and 50 "
            f"labels in one pass {times[0]:.1f} and {times[1]:.1f} times as fast as one by one, "
            f"{kept[0]:.1f} and {kept[1]:.1f} times as fast as with the prompt kept.",
            f"- `./dev bench few_shot`: hearing for seven kept shots takes "
            f"{few_shot['encoding_kept_over_0_shots']:.2f} times what it takes for none. The 1.3 B "
            "model itself: [docs/full-size.md](docs/full-size.md).",
        ]
    )


def full_size_stages() -> str:
    """Return what each stage of a full-size checkpoint took."""
    runs = _results("full_size")
    table = [["", *runs], ["---"] * (1 + len(runs))]
    words = {
        "write": "write the release's five parts",
        "convert": "convert them",
        "verify": "verify the folder",
        "run": "load it and answer",
    }
    rows = {"machine": [f"{run['device']}, {_gb(run['memory_bytes'])}" for run in runs.values()]}
    rows["threads"] = [str(run["threads"]) for run in runs.values()]
    rows["parameters"] = [
        f"{run['run']['parameters'] / 1e9:.2f} G and {run['run']['encoder_parameters'] / 1e6:.0f} M"
        for run in runs.values()
    ]
    rows["the five parts"] = [_gb(sum(run["write"]["part_bytes"])) for run in runs.values()]
    rows["the folder"] = [_gb(run["convert"]["folder_bytes"]) for run in runs.values()]
    for stage in ("write", "convert", "verify"):
        rows[f"{words[stage]}: time"] = [f"{run[stage]['seconds']:.0f} s" for run in runs.values()]
    rows["load it: time"] = [f"{run['run']['load_s']:.1f} s" for run in runs.values()]
    rows["first answer after loading"] = [
        f"{run['run']['first_query_s']:.1f} s" for run in runs.values()
    ]
    for stage in ("convert", "run"):
        rows[f"{words[stage]}: peak memory"] = [
            f"{_gb(run[stage]['peak_bytes'])} ({_gb(run[stage]['peak_bytes_without_files'])} "
            "without mapped files)"
            for run in runs.values()
        ]
    if any("device_peak_bytes" in run["run"] for run in runs.values()):
        rows["peak memory of the GPU"] = [
            _gb(run["run"].get("device_peak_bytes", 0)) for run in runs.values()
        ]
    for other in sorted({name for run in runs.values() for name in run["largest_difference"]}):
        rows[f"largest difference of a log-probability from {other}"] = [
            f"{difference:.4f}" if (difference := run["largest_difference"].get(other)) else ""
            for run in runs.values()
        ]
    return _table([*table, *([name, *cells] for name, cells in rows.items())])


def full_size_queries() -> str:
    """Return the seconds of a query at full size."""
    head = ["", "shots", "labels", "prompt", "hear the query", "score the labels"]
    head += ["first token", "15 more tokens", "tokens/s", "classify", "write 16 tokens"]
    table = [head, ["---"] * len(head)]
    for name, run in _results("full_size").items():
        for row in run["run"]["prompts"]:
            seconds = [f"{value:.2f} s" for value in row["seconds"].values()]
            whole = [f"**{row['classify_s']:.2f} s**", f"**{row['write_s']:.2f} s**"]
            numbers = [str(row["shots"]), str(row["labels"]), f"{row['prompt_tokens']} tokens"]
            table.append([name, *numbers, *seconds, f"{row['tokens_per_s']:.1f}", *whole])
    return _table(table)


def label_scoring() -> str:
    """Return the table of the ways to score labels."""
    ways = ("packed", "kept prompt, batch", "kept prompt", "separate, few logits", "separate")
    table = [["", "labels", *ways, "largest difference"], ["---"] * 8]
    for name, run in _results("label_scoring").items():
        for n_labels in ("10", "50"):
            if (told := run.get(f"{n_labels} labels")) is None:
                continue
            cells = [f"{told[w]['seconds']:.2f} s (x{told[w]['times_packed']:.1f})" for w in ways]
            cells[0] = f"{told['packed']['seconds']:.2f} s"
            apart = max(row["largest_difference"] for row in told.values())
            table.append([name, n_labels, *cells, f"{apart:.0e}"])
    return _table(table)


def few_shot() -> str:
    """Return the table of what kept features save."""
    told = _results("few_shot")
    table = [["", "hear the audio", "whole query"], ["---"] * 3]
    for name, row in told["seconds"].items():
        table.append([name, f"{row['audio_encoding']:.2f} s", f"{row['query']:.2f} s"])
    ratio = told["encoding_kept_over_0_shots"]
    return _table(table) + (
        f"\n\nHearing for seven kept shots took {ratio:.2f} times what it took for none "
        f"({told['device']}, {told['threads']} threads)."
    )


def small_model() -> str:
    """Return the table of few-shot accuracy on labels never trained on."""
    return few_shot_table(_results("small_model"))


def small_model_words() -> str:
    """Return the table of what the Flamingo says without exemplars."""
    told = _results("small_model")["in words"]
    right: dict[str, list[float]] = told["right"]
    rounds = [name.removeprefix("alone: ") for name in right if name.startswith("alone: ")]
    table = [["", "asked alone", "in a dialogue of five rounds"], ["---"] * 3]
    table += [
        [name, *(interval_cell(right[f"{how}: {name}"]) for how in ("alone", "in dialogue"))]
        for name in rounds
    ]
    table += [
        [name, interval_cell(right[name]), ""]
        for name in ("caption names it", "other's caption names it")
    ]
    return _table(table) + (
        f"\n\n{told['clips']} clips of {told['labels']} labels, each from a source that nothing "
        f"was trained on; {told['of']} labels were trained on."
    )


def small_model_pace() -> str:
    """Return the sentence on how fast it loads and answers."""
    told = _results("small_model")["pace"]
    return (
        f"On {told['threads']} CPU threads, with files in memory, the encoder loads in "
        f"{told['load_embedder_s']:.2f} s, the Flamingo in {told['load_flamingo_s']:.2f} s. A task "
        f"of twenty exemplars and five labels: the first answer takes "
        f"{told['first_answer_s']:.1f} s, with the exemplars embedded and the blend fitted; then "
        f"{told['answers_per_s']:.0f} recordings a second "
        "are answered."
    )


def small_model_text() -> str:
    """Return the table of search by text and zero-shot classification."""
    parts = _results("small_model")["text"]
    table = [
        ["", *(f"{name}: {p['n']} clips, {p['n_labels']} labels" for name, p in parts.items())]
    ]
    table.append(["---"] * (1 + len(parts)))
    table += [
        [row, *(interval_cell(part[row]) for part in parts.values())]
        for row in ("recall@10", "zero-shot top-1", "zero-shot top-5")
    ]
    table += [
        [row, *(f"{part[row]:.1%}" for part in parts.values())]
        for row in ("recall@10, chance", "zero-shot top-1, chance")
    ]
    five = [f"{5 / part['n_labels']:.1%}" for part in parts.values()]
    table.append(["zero-shot top-5, chance", *five])
    return _table(table)


def flamingo_curve() -> str:
    """Return the table of a training's checkpoints."""
    curve: list[dict[str, float]] = json.loads(
        (RESULTS / "flamingo_curve.json").read_text(encoding="utf-8")
    )
    names = [name for name in curve[0] if name not in ("step", "seconds", "loss")]
    table = [["step", "seconds", "loss", *names], ["---"] * (3 + len(names))]
    for row in curve:
        shares = [f"{row[name]:.1%}" for name in names]
        table.append([f"{row['step']}", f"{row['seconds']}", f"{row['loss']:.2f}", *shares])
    return _table(table)


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT / "README.md": {
        "few shot": small_model,
        "accuracy": accuracy,
        "evaluation": evaluation,
        "speed": speed,
    },
    ROOT / "docs" / "small-model.md": {
        "few shot": small_model,
        "words": small_model_words,
        "pace": small_model_pace,
        "text": small_model_text,
        "curve": flamingo_curve,
    },
    ROOT / "docs" / "full-size.md": {
        "stages": full_size_stages,
        "queries": full_size_queries,
        "label scoring": label_scoring,
        "few shot": few_shot,
    },
}


def render(page: Path, text: str) -> str:
    """Return a page's text with every block renewed."""
    for name, make in PAGES[page].items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"{page.name}: has no block {begin} … {end}")
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def main() -> None:
    """Write the pages, or with ``--check`` fail when one is not current."""
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = render(page, old)
        if "--check" not in sys.argv[1:]:
            page.write_text(new, encoding="utf-8")
        elif old != new:
            raise SystemExit(
                f"{page.name} is behind benchmarks/results/; run ./dev docs and commit it"
            )


if __name__ == "__main__":
    main()
