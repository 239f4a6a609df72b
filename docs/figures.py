"""Write the tables of our pages from what was measured; ``--check`` only compares.

Run it with ``./dev docs``. No measured number is typed by hand: each block between
``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.default_path import NAMES
from benchmarks.small_table import few_shot_table, interval_cell, markdown_table
from benchmarks.turns import kept
from docs import held_out, plan, trials
from docs.written import write_or_check

from earful.model.hub_models import CATALOGUE, FAMILIES

ROOT = Path(__file__).resolve().parent.parent


def accuracy() -> str:
    """Return the table of the demo corpus's accuracy."""
    results = kept("demo_accuracy")
    parts = {
        "across sources": "leave one source out",
        "across packages": "leave one package out",
        "unseen labels": "unseen labels",
    }
    ours = [results["earful-small"][part] for part in parts.values()]
    heads = [
        f"{words}: {part['n']} clips, {part['n_labels']} labels"
        for words, part in zip(parts, ours, strict=True)
    ]
    rows = []
    for words, baseline in (("chance", "chance"), ("majority class", "majority")):
        rows.append([words, *(f"{part[baseline]:.1%}" for part in ours)])
    arms = (("1-NN", "nearest clip"), ("vote", "vote, as `earful classify --model none`"))
    for name in ("logmel", "earful-tiny", "earful-small", "difference"):
        for arm, words in arms:
            cells = [interval_cell(results[name][part].get(arm)) for part in parts.values()]
            title = f"`{name}`, {words}" if name != "difference" else f"difference, {words}"
            rows.append([title, *cells])
    return markdown_table(["arm", *heads], rows)


def evaluation() -> str:
    """Return the table of every arm on the demo corpus, and the verdict."""
    told = kept("evaluation")
    rows = []
    most = max(arm["k"] or 0 for arm in told["arms"])
    for arm in told["arms"]:
        if arm["k"] not in (None, 0, most):
            continue
        right, f1 = arm["metrics"]["accuracy"], arm["metrics"]["macro-f1"]
        interval = (right["value"], right["low"], right["high"])
        error = f"{arm['ece']:.3f}" if "ece" in arm else ""
        rows.append([f"`{arm['name']}`", interval_cell(interval), f"{f1['value']:.1%}", error])
    vote = next(arm for arm in told["arms"] if arm["how"] == "vote" and arm["k"] == most)
    doubt = vote["abstained"]
    return "\n".join(
        [
            markdown_table(["arm", "accuracy", "macro F1", "calibration error"], rows),
            "",
            f"`@{most}` is the number of shots shown; fewer were asked, too. The vote abstains "
            f"from {doubt['share']:.1%}, and is right in {doubt['accuracy_of_others']:.1%} of "
            "the others.",
            "",
            f"{told['n_items']} clips from {told['n_groups']} sources. The verdict, as printed: "
            f"*{told['verdict']['text']}*",
        ]
    )


def speed() -> str:
    """Return the sentences on search and memory."""
    search, memory = kept("search"), kept("build_memory")["logmel"]
    scoring, few_shot = kept("label_scoring"), kept("few_shot")
    (labels,) = (run for name, run in scoring.items() if name.startswith("OPT-125M, float32, CPU"))
    times = [labels[f"{n} labels"]["separate"]["times_packed"] for n in (10, 50)]
    times_kept = [labels[f"{n} labels"]["kept prompt"]["times_packed"] for n in (10, 50)]
    ms = {name: row["median"] for name, row in search["search_ms"].items()}
    manifest = kept("manifest")["CSV table"]
    counts = sorted(row["rows"] for name, row in memory.items() if name.endswith(" rows"))
    small, large = memory[f"{counts[0]} rows"], memory[f"{counts[-1]} rows"]
    wav, start = kept("embedding")["wav"], kept("startup")
    batch = kept("search_large")["batch, one thread"]
    return "\n".join(
        [
            f"- `./dev bench embedding`: WAV files become vectors of LAION-CLAP in "
            f"{wav['earful']['ms']['median']:.0f} ms each, "
            f"{_ratio(wav, 'transformers + librosa, batch 1'):.1f} times as fast as a loop with "
            f"transformers and librosa file by file, "
            f"{_ratio(wav, 'transformers + librosa, batch 16'):.1f} times as fast as in batches of "
            f"16, {_ratio(wav, 'laion-clap, file list'):.1f} times as fast as `laion-clap` with "
            "its list of files.",
            f"- `./dev bench search_large`: {batch['queries']} queries at once over "
            f"{batch['rows']:,} rows, {_ratio(batch['ways'], 'FAISS flat, as it comes'):.0f} times "
            "as fast as FAISS flat as it comes, one thread each, with the same hits.",
            f"- `./dev bench startup`: `earful --help` takes "
            f"{start['commands']['earful --help']['ms']['median']:.0f} ms, the imports that others "
            f"begin with {start['imports_over_help']['median']:.0f} times as long.",
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
            f"{times_kept[0]:.1f} and {times_kept[1]:.1f} times as fast as with the prompt kept.",
            f"- `./dev bench few_shot`: hearing for seven kept shots takes "
            f"{few_shot['encoding_kept_over_0_shots']:.2f} times what it takes for none. The 1.3 B "
            "model itself: [full-size.md](full-size.md).",
        ]
    )


def full_size_stages() -> str:
    """Return what each stage of a full-size checkpoint took."""
    runs = kept("full_size")
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
    return markdown_table(["", *runs], [[name, *cells] for name, cells in rows.items()])


def full_size_queries() -> str:
    """Return the seconds of a query at full size."""
    head = ["", "shots", "labels", "prompt", "hear the query", "score the labels"]
    head += ["first token", "15 more tokens", "tokens/s", "classify", "write 16 tokens"]
    rows = []
    for name, run in kept("full_size").items():
        for row in run["run"]["prompts"]:
            seconds = [f"{value:.2f} s" for value in row["seconds"].values()]
            whole = [f"**{row['classify_s']:.2f} s**", f"**{row['write_s']:.2f} s**"]
            numbers = [str(row["shots"]), str(row["labels"]), f"{row['prompt_tokens']} tokens"]
            rows.append([name, *numbers, *seconds, f"{row['tokens_per_s']:.1f}", *whole])
    return markdown_table(head, rows)


def label_scoring() -> str:
    """Return the table of the ways to score labels."""
    ways = ("packed", "kept prompt, batch", "kept prompt", "separate, few logits", "separate")
    rows = []
    for name, run in kept("label_scoring").items():
        for n_labels in ("10", "50"):
            if (told := run.get(f"{n_labels} labels")) is None:
                continue
            cells = [f"{told[w]['seconds']:.2f} s (x{told[w]['times_packed']:.1f})" for w in ways]
            cells[0] = f"{told['packed']['seconds']:.2f} s"
            apart = max(row["largest_difference"] for row in told.values())
            rows.append([name, n_labels, *cells, f"{apart:.0e}"])
    return markdown_table(["", "labels", *ways, "largest difference"], rows)


def hub_models() -> str:
    """Return the table of the ways to score labels with a model of the hub."""
    told = kept("hub_models")
    words = {
        "earful, first": "earful, the first query of a session",
        "earful, again": "earful, a later query: exemplars are kept",
        "separate, heard": "a pass of the language model a label",
        "separate": "a call of `transformers` a label, audio included",
    }
    rows = [
        [
            title,
            f"{(row := told['ways'][name])['seconds']:.1f} s",
            f"{row['times_first']:.1f}",
            f"{row['largest_difference']:.0e}" if row["largest_difference"] else "0",
        ]
        for name, title in words.items()
    ]
    head = ["", "time", "times the first", "largest difference, nats a token"]
    return markdown_table(head, rows) + (
        f"\n\n{told['model']}: {told['parameters'] / 1e6:.0f} M parameters, "
        f"{told['exemplars']} exemplars of {told['seconds_each']:g} s and the query, "
        f"{told['prompt_tokens']} tokens, {told['labels']} labels; {told['device']}, "
        f"{told['threads']} thread{'' if told['threads'] == 1 else 's'}."
    )


def hub_prompts() -> str:
    """Return the table of the ways to read several prompts with a model of the hub."""
    told = kept("hub_models")["prompts"]
    tokens = {
        "8": f"{min(told['ragged_tokens']):,} to {max(told['ragged_tokens']):,}",
        "5": f"{max(told['query_tokens']):,}, {told['shared_tokens']:,} of them shared",
    }
    words = {
        "8 prompts singly": "8 prompts, one by one",
        "8 prompts together": "8 prompts, read together",
        "5 queries, each anew": "5 queries behind 8 exemplars, each read anew",
        "5 queries, prefix kept": "5 queries behind 8 exemplars, these kept",
    }
    rows = [
        [
            title,
            tokens[name[0]],
            f"{(row := told['ways'][name])['seconds']:.1f} s",
            f"{row['times']:.2f}",
            f"{row['largest_difference']:.0e}" if row["largest_difference"] else "0",
        ]
        for name, title in words.items()
    ]
    head = ["", "tokens each", "processor time", "times the plain way", "difference, nats a token"]
    return markdown_table(head, rows) + (
        f"\n\nThe same model, {told['labels']} labels each, recordings heard before; differences "
        "are the largest to prompts that are read alone and in one pass; "
        f"{told['device']}, {told['threads']} thread{'' if told['threads'] == 1 else 's'}."
    )


def hub_families() -> str:
    """Return the table of families, as the package has it."""
    rows = []
    for family in FAMILIES:
        ids = [known.name for known in CATALOGUE if known.family == family.title]
        rows.append(
            [
                family.title,
                ", ".join(f"`{name}`" for name in family.model_types),
                ", ".join(f"`{name}`" for name in ids),
                "run, random weights" if family.ran else "read, run by nobody",
            ]
        )
    return markdown_table(["family", "`model_type`", "known by name", "status"], rows)


def few_shot() -> str:
    """Return the table of what kept features save."""
    told = kept("few_shot")
    rows = [
        [name, f"{row['audio_encoding']:.2f} s", f"{row['query']:.2f} s"]
        for name, row in told["seconds"].items()
    ]
    ratio = told["encoding_kept_over_0_shots"]
    return markdown_table(["", "hear the audio", "whole query"], rows) + (
        f"\n\nHearing for seven kept shots took {ratio:.2f} times what it took for none "
        f"({told['device']}, {told['threads']} threads)."
    )


def small_model() -> str:
    """Return the table of few-shot accuracy on labels never trained on."""
    return few_shot_table(kept("small_model"))


def small_model_words() -> str:
    """Return the table of what the Flamingo says without exemplars."""
    told = kept("small_model")["in words"]
    right: dict[str, list[float]] = told["right"]
    rounds = [name.removeprefix("alone: ") for name in right if name.startswith("alone: ")]
    rows = [
        [name, *(interval_cell(right[f"{how}: {name}"]) for how in ("alone", "in dialogue"))]
        for name in rounds
    ]
    rows += [
        [name, interval_cell(right[name]), ""]
        for name in ("caption names it", "other's caption names it")
    ]
    return markdown_table(["", "asked alone", "in a dialogue of five rounds"], rows) + (
        f"\n\n{told['clips']} clips of {told['labels']} labels, each from a source that nothing "
        f"was trained on; {told['of']} labels were trained on."
    )


def small_model_pace() -> str:
    """Return the sentence on how fast it loads and answers."""
    told = kept("small_model")["pace"]
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
    parts = kept("small_model")["text"]
    heads = [f"{name}: {p['n']} clips, {p['n_labels']} labels" for name, p in parts.items()]
    rows = [
        [row, *(interval_cell(part[row]) for part in parts.values())]
        for row in ("recall@10", "zero-shot top-1", "zero-shot top-5")
    ]
    rows += [
        [row, *(f"{part[row]:.1%}" for part in parts.values())]
        for row in ("recall@10, chance", "zero-shot top-1, chance")
    ]
    five = [f"{5 / part['n_labels']:.1%}" for part in parts.values()]
    rows.append(["zero-shot top-5, chance", *five])
    return markdown_table(["", *heads], rows)


def words() -> str:
    """Return the table of naming and finding recordings by words alone."""
    told = kept("words")
    parts = {"sounds": "the demo's sounds", "unseen": "labels new to `earful-tiny`"}
    heads, rows = [], [["chance"], *([name] for name in told["sounds"]["arms"])]
    for key, title in parts.items():
        part = told[key]
        # Of six labels, one of the first five says nothing.
        figures = ["top-1", "top-5"] if part["labels"] > 10 else ["top-1"]
        about = f"{title}, {part['clips']} clips, {part['labels']} labels"
        heads += [f"{about}: top-1", *figures[1:], f"found in the first {told['found']}"]
        found = "of the first ten"
        for row, own in zip(rows, [None, *part["arms"].values()], strict=True):
            if own is None:
                row += [f"{part['chance'][figure]:.1%}" for figure in (*figures, found)]
            else:
                row += [interval_cell(own[figure]) for figure in figures] + [f"{own[found]:.1%}"]
    return markdown_table(["", *heads], rows)


def flamingo_curve() -> str:
    """Return the table of a training's checkpoints."""
    curve: list[dict[str, float]] = kept("flamingo_curve")
    names = [name for name in curve[0] if name not in ("step", "seconds", "loss")]
    rows = []
    for row in curve:
        shares = [f"{row[name]:.1%}" for name in names]
        rows.append([f"{row['step']}", f"{row['seconds']}", f"{row['loss']:.2f}", *shares])
    return markdown_table(["step", "seconds", "loss", *names], rows)


def speed_goals() -> str:
    """Return what was aimed at, what was measured, and whether that is enough."""
    embedding, search, start = (kept(n) for n in ("embedding", "search_large", "startup"))
    wav, mp3, shares = embedding["wav"], embedding["mp3"], embedding["shares"]
    memory = kept("build_memory")["logmel"]
    rows_of = {int(name.split()[0]): row for name, row in memory.items() if name.endswith("rows")}
    grown = (
        rows_of[max(rows_of)]["peak_rss_bytes"] / rows_of[min(rows_of)]["peak_rss_bytes"]
        if len(rows_of) > 1
        else 0.0
    )
    plain = wav["transformers + librosa, batch 16"]["ms"]["median"]
    exact = wav["earful, float32"]["ms"]["median"]
    flat = "FAISS flat, as it comes"
    n_most, n_fewest = max(rows_of), min(rows_of)
    goals = [
        ("WAV files to vectors, beside `laion-clap`", 8, _ratio(wav, "laion-clap, file list")),
        (
            "the same, beside transformers + librosa, batch 1",
            6,
            _ratio(wav, "transformers + librosa, batch 1"),
        ),
        ("the same, batch 16", 5, _ratio(wav, "transformers + librosa, batch 16")),
        ("the same in float32, beside batch 16", 2, plain / exact),
        (
            "MP3 files to vectors, beside transformers + librosa, batch 1",
            5,
            _ratio(mp3, "transformers + librosa, batch 1"),
        ),
        ("two cores beside one, our pipeline", 1.8, shares["two_cores_over_one"]),
        ("share of the encoder in the whole, 128 files", 0.85, shares["encoder_of_whole"]),
        (
            "64 queries over 100,000 rows, beside FAISS flat, one thread",
            12,
            search["batch, one thread"]["ways"][flat]["times"]["median"],
        ),
        (
            f"the same with {search['threads']} threads",
            12,
            search["batch"]["ways"][flat]["times"]["median"],
        ),
        (
            f"one query over {search['single']['rows']:,} rows: share of the pace of memory",
            0.7,
            search["single"]["bandwidth_share"],
        ),
        (
            "`earful --help` beside `import torch, transformers, lancedb`",
            30,
            start["imports_over_help"]["median"],
        ),
    ]
    rows = []
    for name, wanted, found in goals:
        missed = "" if found >= wanted else f"**{1 - found / wanted:.0%} short**"
        rows.append([name, _times(wanted), _times(found), missed])
    told = "" if grown <= 1.2 else f"**{grown / 1.2 - 1:.0%} over**"
    name = f"peak memory of building {n_most:,} rows over {n_fewest:,}"
    rows.append([name, "at most 1.2 x", f"{grown:.2f} x", told])
    return markdown_table(["", "wanted", "measured", ""], rows) + f"\n\n{_where(embedding)}"


def _ratio(ways: dict[str, Any], name: str) -> float:
    return float(ways[name]["times"]["median"])


def _times(value: float) -> str:
    return f"{value:.0%}" if value < 1 else f"{value:.3g} x"


def _where(told: dict[str, Any]) -> str:
    machine = told["machine"]
    return (
        f"Measured on {machine['cpu']}, {machine['cpus']} cores "
        f"({', '.join(machine['instructions'])}), torch {machine['torch']}, Python "
        f"{machine['python']}; no GPU."
    )


def _ways(ways: dict[str, Any], unit: str) -> str:
    rows = []
    for name, row in ways.items():
        took = row["times"]
        ratio = f"{took['median']:.2f} ({took['min']:.2f} to {took['max']:.2f})"
        rows.append([name, *_spread_cells(row["ms"], ".3g"), ratio])
    return markdown_table(["", f"{unit}: min", "median", "max", "times as long"], rows)


def _spread_cells(spread: Mapping[str, float], form: str) -> list[str]:
    return [format(spread[key], form) for key in ("min", "median", "max")]


def embedding() -> str:
    """Return the tables of files to vectors."""
    told = kept("embedding")
    n, seconds, shares = told["files"], told["seconds_each"], told["shares"]
    limit = told["limit"]
    ms = {name: row["ms"]["median"] for name, row in told["wav"].items()}
    whole, vectors, encoder = (
        ms[name]
        for name in ("earful", "earful, vectors of decoded clips", "earful, the encoder alone")
    )
    parts = [
        f"{n} WAV files of {seconds:g} s at 44.1 kHz, {told['threads']} threads, "
        f"{told['rounds']} rounds:",
        _ways(told["wav"], "ms a file"),
        f"Of the {whole:.1f} ms of a file, the encoder by itself takes {encoder:.1f}; "
        f"spectrograms make it {vectors:.1f}, and reading, resampling, digests and the index take "
        f"the other {whole - vectors:.1f}.",
        "128 of them, which leaves what an index costs once out of the picture:",
        _ways(told["many wav"], "ms a file"),
        "MP3 files:",
        _ways(told["mp3"], "ms a file"),
        "Zero-shot classification of a file among 50 labels, whose sentences earful embeds once "
        "and the pipeline at every call:",
        _ways(told["zero-shot, 50 labels"], "ms a file"),
        f"A window asks for {limit['gflop_per_window']:.2f} billion operations. At the pace of "
        f"plain products, {limit['float32_gflops']:.0f} billion a second in float32 and "
        f"{limit['bfloat16_gflops']:.0f} in bfloat16, that is {shares['floor_ms_float32']:.1f} and "
        f"{shares['floor_ms_bfloat16']:.1f} ms at best. The encoder by itself reaches "
        f"{shares['limit_reached_by_encoder']:.0%} of it, files to vectors "
        f"{shares['limit_reached_end_to_end']:.0%}, in float32 "
        f"{shares['limit_reached_float32']:.0%}; transformers and librosa, file by file, "
        f"{shares['limit_reached_by_transformers']:.0%}.",
    ]
    return "\n\n".join(parts)


def encoder() -> str:
    """Return the table of the encoders by themselves."""
    told = kept("encoder")
    ways = [
        [
            name,
            *_spread_cells(row["ms"], ".1f"),
            f"{row['floor_ms']:.1f}",
            f"{row['limit_share']:.0%}",
        ]
        for name, row in told["ways"].items()
    ]
    kinds = list(next(iter(told["profile"].values())))
    # Which form attention takes depends on the precision, so some kinds do not occur.
    shares = [
        [name, *(f"{row[kind]:.0%}" if row[kind] else "" for kind in kinds)]
        for name, row in told["profile"].items()
    ]
    pace = told["gflops"]
    parts = [
        markdown_table(
            ["", "ms a window: min", "median", "max", "at best", "share of the limit"], ways
        ),
        f"One thread, {told['windows_at_once']} windows at once. Products ran at "
        f"{pace['float32']:.0f} billion operations a second in float32 and "
        f"{pace['bfloat16']:.0f} in bfloat16.",
        "Where the time of the packed encoder goes, by operator (`./dev bench encoder --profile`):",
        markdown_table(["", *kinds], shares),
    ]
    return "\n\n".join(parts)


def int8() -> str:
    """Return what products in 8 bits would gain LAION-CLAP, and what they would cost."""
    told = kept("int8")
    ways = {
        "bfloat16": "bfloat16",
        "int8, onednn": "int8, rows rounded at each call: onednn",
        "int8, x86": "int8, rows rounded at each call: x86",
    }
    rows = [
        [
            f"{stage['width']} channels, {stage['blocks']} blocks",
            *(f"{stage['ms'][way]:.1f}" for way in ways.values()),
        ]
        for stage in told["stages"]
    ]
    window = told["window"]
    rows.append(["all", *(f"{window['ms'][way]:.1f}" for way in ways.values())])
    near = [
        [
            name,
            f"{row['cosine']:.4f}",
            f"{row['lost']:.4f}",
            f"{row['recall_at_10']:.3f}",
        ]
        for name, row in told["neighbours"].items()
    ]
    n_sounds = told["neighbours"]["int8"]["sounds"]
    return "\n\n".join(
        [
            markdown_table(["ms of a window's products", *ways], rows),
            f"The faster of the two in each stage gains {window['mixed_times_bfloat16']:.2f} times "
            f"on products, which are {window['products_share']:.0%} of the encoder's time: "
            f"{window['whole_times_bfloat16']:.2f} times on the whole. "
            f"Processor time on one core. {_where(told)} In 8 bits it has "
            f"{', '.join(told['machine']['int8']) or 'no instructions'}.",
            f"{n_sounds} demo sounds against float32, random weights in the published shape:",
            markdown_table(["", "least cosine", "similarity lost", "recall@10"], near),
        ]
    )


def search_large() -> str:
    """Return the tables of searches in large indexes."""
    told = kept("search_large")
    batch, single, stored = told["batch"], told["single"], told["stored"]
    alone = told["batch, one thread"]
    made, condition = stored["approximate"], stored["condition_ms"]
    parts = [
        f"{batch['queries']} queries at once, the {told['k']} nearest of {batch['rows']:,} rows x "
        f"{told['dim']}, one thread; {alone['limit_share']:.0%} of what products in bfloat16 "
        "allow:",
        _ways(alone["ways"], "ms a query"),
        f"The same with {told['threads']} threads:",
        _ways(batch["ways"], "ms a query"),
        f"One query over {single['rows']:,} rows, {told['threads']} threads: "
        f"{single['gb_per_s']:.0f} GB/s, {single['bandwidth_share']:.0%} of the pace of reading "
        "alone.",
        _ways(single["ways"], "ms a query"),
        f"One query over an index folder of {stored['rows']:,} rows:",
        _ways(stored["ways"], "ms a query"),
        f"Approximate search found {made['recall']:.1%} of the {made['k']} nearest "
        f"({made['wanted']:.0%} were asked for) looking at {made['n_probes']} of "
        f"{made['n_partitions']} partitions; its index was made in {made['build_s']:.1f} s and "
        f"takes {made['size_bytes'] / 1e6:.1f} MB. An SQL condition on the labels and the search "
        f"behind it took {condition['without column indices']:.1f} ms without indices of the "
        f"columns and {condition['with column indices']:.1f} ms with them.",
    ]
    return "\n\n".join(parts)


def trunks() -> str:
    """Return the table of what the shipped encoders cost."""
    told = kept("trunks")
    forms = told["forms"]
    names = list(next(iter(forms.values())))
    rows = []
    for name in names:
        cells = []
        for ways in forms.values():
            cells.append(f"{ways[name]['ms']['median'] / 1000:.2f}")
            cells.append(f"{ways[name]['times']['median']:.2f}")
        rows.append([name, *cells])
    heads = [head for form in forms for head in (f"{form}: s", "times as long")]
    return markdown_table(["", *heads], rows) + (
        f"\n\nProcessor time for a minute of decoded audio, one thread, median of {told['rounds']} "
        f"rounds. {_where(told)}"
    )


def scan_encode() -> str:
    """Return the table of what an hour of recording costs before anything is looked for."""
    told = kept("scan_encode")
    rows = [
        [name, *(f"{row[key]:.1f}" for key in ("min", "median", "max")),
         f"{told['times_birdnet'][name]:.2f}"]
        for name, row in told["cpu_s_per_hour"].items()
    ]  # fmt: skip
    return markdown_table(["", "min", "median", "max", "times BirdNET's"], rows) + (
        f"\n\nSeconds of one processor for an hour of audio, by {told['seconds']} s of it on one "
        f"thread, {told['rounds']} rounds. {_where(told)}"
    )


def scan_again() -> str:
    """Return the table of a scan's second question, its memory by length, and its threads."""
    told = kept("scan")
    asked, lengths = told["second_question"], told["memory"]["by_seconds"]
    short, long = (lengths[seconds] for seconds in ("600", "43200"))
    rows = [
        [
            "another question about half an hour, start of the process apart",
            f"{asked['second_cpu_s'] - asked['start_cpu_s']:.2f} CPU-s",
            f"{asked['first_cpu_s'] - asked['start_cpu_s']:.1f} CPU-s for the first",
            f"{asked['ratio_without_start']:.3f} x",
        ],
        [
            "peak memory of twelve hours",
            f"{long['peak_rss_bytes'] / 1e6:.0f} MB",
            f"{short['peak_rss_bytes'] / 1e6:.0f} MB for ten minutes",
            f"{told['memory']['ratio']:.2f} x",
        ],
        ["kept of an hour", f"{long['kept_bytes_per_hour'] / 1e6:.1f} MB", "", ""],
    ]
    if "threads" in told:
        row = told["threads"]
        rows.append(
            [
                f"ten minutes on two threads (load of the machine {row['load_average']:.0f})",
                f"{row['two_wall_s']:.1f} s",
                f"{row['one_wall_s']:.1f} s on one",
                f"{row['one_wall_s'] / row['two_wall_s']:.2f} x faster",
            ]
        )
    return markdown_table(["", "takes", "against", "ratio"], rows)


def review_strategies() -> str:
    """Return the table of what labels are worth by the order in which items are shown."""
    told = kept("review")
    counts = [str(n) for n in told["counts"]]
    rows = []
    for number, (name, own) in enumerate(told["strategies"].items()):
        last = own[counts[-1]]
        low, high = last["interval"]
        rows.append(
            [
                name,
                *(f"{own[n]['precision']:.3f}" for n in counts),
                f"{last['less_first']:+.3f} ({low:+.3f} to {high:+.3f})" if number else "",
                " / ".join(f"{own[n]['found']:.1f}" for n in counts),
            ]
        )
    start = next(iter(told["strategies"].values()))["start"]
    first = next(iter(told["strategies"]))
    heads = ["strategy", *(f"AP after {n} labels" for n in counts)]
    heads += [
        f"against {first}, {counts[-1]} labels",
        f"events found by {' / '.join(counts)} labels",
    ]
    n = sum(len(own[first]) for own in told["seeds"].values())
    return markdown_table(heads, rows) + (
        f"\n\nMeans of {n} recordings, seeds {' and '.join(told['seeds'])}; AP before any label: "
        f"{start:.3f}. In brackets the 95 % interval of the difference, of recordings drawn anew."
    )


def review_waits() -> str:
    """Return the sentence of how long a reviewer waits."""
    told = kept("review")["waits"]
    item = told["next_item_ms"]
    return (
        f"A detector that is fitted again looks through an hour of kept steps in "
        f"{told['refit_cpu_s_per_hour']:.2f} CPU seconds, {told['ratio']:.3f} of what encoding it "
        f"takes ({told['encoding_cpu_s_per_hour']:.0f}). Among {item['events']:,} events the "
        f"first item takes {item['first']:.0f} ms, each further one {item['median']:.2f} ms "
        f"({item['max']:.1f} at most)."
    )


def default_path() -> str:
    """Return the table of what a plain install costs, beside another commit."""
    told = kept("default_path")
    rows = []
    for name, row in told["measured"].items():
        title = NAMES[name].format(rows=told["rows"])
        both = [_amount(name, row[side]) for side in ("before", "now")]
        short = "" if row["ratio"] >= row["wanted"] else "**short**"
        rows.append([title, *both, f"{row['ratio']:.1f} x", f"{row['wanted']:.0f} x", short])
    commits = told["commits"]
    head = ["", "before", "now", "less by", "wanted", ""]
    return (
        f"{markdown_table(head, rows)}\n\nMedians of {told['rounds']} rounds in turns, commit "
        f"{commits['before']} beside {commits['now']}. {_where(told)}"
    )


def install() -> str:
    """Return the sentence on the size of a plain install."""
    told = kept("default_path")
    size = told["measured"]["size"]
    return (
        f"The plain install takes {size['now'] / 1e6:,.0f} MB, most of it LanceDB, Arrow, SciPy "
        f"and ONNX Runtime; at {told['commits']['before']}, which needed torch, it took "
        f"{size['before'] / 1e9:.1f} GB. The extras `clap`, `flamingo` and `train` bring torch, of "
        "which PyPI's build for Linux holds CUDA. The build for CPUs from PyTorch's own index "
        "(`--index-url https://download.pytorch.org/whl/cpu`) does not; it could not be reached "
        "where this was written."
    )


def _amount(name: str, value: float) -> str:
    if name == "size" or name.endswith("memory"):
        return f"{value / 1e6:,.0f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def startup() -> str:
    """Return the table of cold starts."""
    told = kept("startup")
    rows = [
        [f"`{name}`", *_spread_cells(row["ms"], ".0f")] for name, row in told["commands"].items()
    ]
    imports = ", ".join(f"{name} {s:.2f} s" for name, s in told["classify_imports_s"].items())
    return markdown_table(["", "ms: min", "median", "max"], rows) + (
        f"\n\nOf `classify`, as Python itself counts the imports of one run: {imports}, each with "
        "what it is the first to import."
    )


def build_memory() -> str:
    """Return the table of peak memory."""
    told = kept("build_memory")["logmel"]
    rows = []
    fewest = None
    for name, row in told.items():
        if not isinstance(row, dict):
            continue
        fewest = fewest or row
        n_more = row["rows"] - fewest["rows"]
        more = (
            f"{(row['peak_rss_bytes'] - fewest['peak_rss_bytes']) / n_more:,.0f}"
            if n_more > 0
            else ""
        )
        peak = f"{row['peak_rss_bytes'] / 1e6:.0f} MB"
        rows.append([name, f"{row['rows']:,}", peak, more])
    return markdown_table(["", "rows", "peak", "bytes a further row"], rows)


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"


def scan_quality() -> str:
    """Return the table of what scans find on the test bed."""
    told = kept("scan_quality")
    rows = []
    for seed, own in told["seeds"].items():
        for snr_db in told["snrs_db"]:
            found = own["own"][str(snr_db)]
            cells = [f"{found[name]:.2f}" for name in ("f1", "precision", "recall")]
            cells += [f"{found[name]:.2f}" for name in ("recall_heard", "recall_new")]
            similar = f"{own['similarity_f1']:.2f}" if snr_db == told["gate_snr_db"] else ""
            rows.append([seed, f"{snr_db} dB", *cells, similar])
    heads = ["seed", "level", "F1", "precision", "recall", "heard clips", "new clips"]
    return markdown_table([*heads, "F1 of similarity"], rows)


def scan_thresholds() -> str:
    """Return the table of thresholds of scans."""
    told = kept("scan_quality")
    rows = []
    for seed, own in told["seeds"].items():
        ways = {f"above {name}": one for name, one in own["by_threshold"].items()}
        ways[f"`--detector probe`, above {told['threshold']:g}"] = own["probe"]
        for name, one in ways.items():
            f1s = [f"{value:.2f}" for value in one["f1"]]
            rows.append([seed, name, *f1s, f"{one['another']:.2f}", f"{one['false_per_hour']:.1f}"])
    levels = [f"F1 at {snr_db} dB" for snr_db in told["snrs_db"]]
    heads = ["seed", "score", *levels, "F1 in another recording", "false events an hour"]
    return markdown_table(heads, rows)


def scan_labels() -> str:
    """Return the table of labels of scans."""
    told = kept("scan_quality")
    labels = sorted(next(iter(told["seeds"].values()))["own"][str(told["gate_snr_db"])]["by_label"])
    rows = []
    for label in labels:
        cells = [
            f"{own['own'][str(snr_db)]['by_label'][label]:.2f}"
            for own in told["seeds"].values()
            for snr_db in told["snrs_db"]
        ]
        rows.append([label, *cells])
    heads = [f"seed {seed}, {snr_db} dB" for seed in told["seeds"] for snr_db in told["snrs_db"]]
    return markdown_table(["label", *heads], rows)


def scan_costs() -> str:
    """Return the sentence of what scans cost."""
    costs = [own["cpu_s_per_hour"] for own in kept("scan_quality")["seeds"].values()]
    encoding = max(own["encoding"] for own in costs)
    share = max(own["fitting and scoring"] / own["encoding"] for own in costs)
    return (
        f"Encoding an hour took {encoding:.0f} CPU seconds; fitting and scoring it from kept steps "
        f"{share:.3f} of that."
    )


def serve() -> str:
    """Return the table of the page beside the same page made with Gradio."""
    told = kept("serve")
    ours, theirs = told["first_visit"]["earful"], told["first_visit"]["gradio"]
    keys, labels, events = told["key_to_next_ms"], told["label"], told["events"]
    memory = told["resident_mib"]
    rows = [
        ["key to the next item painted and playing, ms"]
        + [f"{median(keys[name]):.0f}" for name in ("earful", "gradio")]
        + [f"{told['key_to_next_times']['median']:.2f} x", "0.35 x"],
        ["first visit without sounds and pictures, kB"]
        + [f"{one['bytes'] / 1000:.0f}" for one in (ours, theirs)]
        + [f"{ours['bytes'] / theirs['bytes']:.2f} x", "0.25 x"],
        ["the same, requests"]
        + [f"{one['requests']}" for one in (ours, theirs)]
        + [f"{ours['requests'] / theirs['requests']:.2f} x", ""],
        ["first paint, ms"]
        + [f"{one['first_paint_ms']}" for one in (ours, theirs)]
        + [f"{ours['first_paint_ms'] / theirs['first_paint_ms']:.2f} x", "1,000 ms"],
        ["first item painted; the empty form, ms"]
        + [f"{one['shown_ms']}" for one in (ours, theirs)]
        + [f"{ours['shown_ms'] / theirs['shown_ms']:.2f} x", ""],
        ["a label durable; a file moved and `index add`, ms"]
        + [f"{labels['ms'][name]:.0f}" for name in ("earful", "moves")]
        + [f"{labels['ms']['earful'] / labels['ms']['moves']:.3f} x", "0.1 x"],
        ["resident memory, no encoder loaded, MiB"]
        + [f"{memory[name]:.0f}" for name in ("earful", "gradio")]
        + [f"{memory['earful'] / memory['gradio']:.2f} x", "120 MiB"],
        [f"{events['n']:,} events listed over HTTP; `json.dumps` of them, s"]
        + [f"{events[name]:.2f}" for name in ("seconds", "json_seconds")]
        + [f"{events['times']['median']:.1f} x", "1 s"],
    ]
    head = ["", "`earful serve`", f"Gradio {told['gradio']}, or as said", "ratio", "at most"]
    return markdown_table(head, rows) + f"\n\nMedians of {told['rounds']} rounds in turns."


PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT / "README.md": {"headline": held_out.headline, "install": install},
    ROOT / "docs" / "accuracy.md": {
        "held out": held_out.summary,
        "accuracy": accuracy,
        "evaluation": evaluation,
    },
    ROOT / "docs" / "small-model.md": {
        "held out": held_out.accuracy,
        "held-out words": held_out.words,
        "abstention": held_out.abstention,
        "few shot": small_model,
        "words": small_model_words,
        "pace": small_model_pace,
        "text": small_model_text,
        "yamnet words": words,
        "curve": flamingo_curve,
    },
    ROOT / "docs" / "benchmarks.md": {
        "speed": speed,
        "goals": speed_goals,
        "embedding": embedding,
        "encoder": encoder,
        "int8": int8,
        "trunks": trunks,
        "scan encode": scan_encode,
        "scan again": scan_again,
        "review": review_strategies,
        "review waits": review_waits,
        "serve": serve,
        "search": search_large,
        "default path": default_path,
        "startup": startup,
        "memory": build_memory,
    },
    ROOT / "docs" / "scan.md": {
        "quality": scan_quality,
        "thresholds": scan_thresholds,
        "labels": scan_labels,
        "costs": scan_costs,
    },
    ROOT / "docs" / "reliability.md": {
        "audio": trials.audio,
        "tables": trials.tables,
        "kills": trials.kills,
        "damage": trials.damage,
        "page": trials.page,
    },
    ROOT / "docs" / "scale-out" / "large-search.md": {"kinds": plan.kinds, "sizes": plan.sizes},
    ROOT / "docs" / "scale-out" / "object-stores.md": {"store": plan.store},
    ROOT / "docs" / "scale-out" / "parts.md": {"shards": plan.shards},
    ROOT / "docs" / "scale-out" / "ray.md": {"ray": plan.ray},
    ROOT / "docs" / "scale-out" / "plan.md": {
        "rates": plan.rates,
        "assumptions": plan.assumptions,
        "plan": plan.plan,
        "reading": plan.reading,
    },
    ROOT / "docs" / "hub-models.md": {
        "families": hub_families,
        "scoring": hub_models,
        "prompts": hub_prompts,
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
    """Write the pages, or with ``--check`` fail when they are not current."""
    write_or_check({page: render(page, page.read_text(encoding="utf-8")) for page in PAGES})


if __name__ == "__main__":
    main()
