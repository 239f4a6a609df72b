"""What an Audio Flamingo of the released size takes: memory, loading, time for a query.

Nothing is downloaded. A checkpoint of random weights is written as the release publishes
the real one (1340 names, copies included, float32, five parts, 17.7 GB), converted to a
folder of ours, checked, loaded and asked at 0, 4 and 7 shots. Each stage runs in a process
of its own, whose peak memory the operating system tells; files mapped into memory count
there although they can be dropped, so the peak without them is sampled as well.

Weights are random but shapes are not. The tokenizer is made for these prompts: words are
whole tokens, as common words are in OPT's vocabulary. Recordings are 10 s of noise.

    ./dev bench full_size --dir FOLDER [--device cuda] [--dtype bfloat16] [--threads N]

needs 23 GB in FOLDER, which it empties at the end, and 9 GB of memory to compare with
float32. It writes ``benchmarks/results/full_size.json``, one entry a device and type;
``./dev docs`` makes the tables of ``docs/full-size.md`` from it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from benchmarks.turns import place_name
from numpy.typing import NDArray

from earful.index.cache import FeatureCacheFolder
from earful.model import ClipRef, GenerationOptions, Prompt, Text
from earful.model.audio import load_audio
from earful.model.encoders import MsClapConfig, published_names
from earful.model.flamingo import (
    Control,
    Flamingo,
    FlamingoConfig,
    FlamingoLanguageModel,
    MsClapWindows,
    TorchFlamingo,
    position_table,
    render_continuation,
    render_prompt,
)
from earful.model.flamingo.checkpoint import (
    POSITIONS,
    convert_flamingo,
    load_flamingo,
    official_shapes,
    overriding_name,
    verify_flamingo_folder,
)

RESULT = Path(__file__).resolve().parent / "results" / "full_size.json"
CONFIG = FlamingoConfig()
N_POSITIONS = 128  # rows of the released table of audio positions
N_PARTS = 5
N_BYTES_FREE = 23_000_000_000
SHOTS = (0, 4, 7)
N_LABELS = (10, 50)
N_WRITTEN = 16
RATE = 44_100
RECORDING_S = 10.0
KINDS = ("dog", "car", "bird", "rain", "church", "train", "glass", "door", "engine", "crowd")
SOUNDS = ("bark", "horn", "song", "passing by", "bells")
LABELS = [
    f"{kind} {SOUNDS[(turn + row) % 5]}" for turn in range(5) for row, kind in enumerate(KINDS)
]


def main() -> None:
    """Run every stage, print what it took and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where 23 GB are free")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stage", choices=tuple(STAGES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.stage:
        with peak_memory() as memory:
            told = STAGES[arguments.stage](arguments)
        print(json.dumps(told | memory))
        return
    arguments.dir = arguments.dir / "full-size"
    arguments.dir.mkdir(parents=True)
    try:
        if shutil.disk_usage(arguments.dir).free < N_BYTES_FREE:
            raise SystemExit(f"{arguments.dir}: want {N_BYTES_FREE / 1e9:.0f} GB free")
        report = all_stages(arguments)
    finally:
        shutil.rmtree(arguments.dir)
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    results[f"{arguments.device.partition(':')[0]} {arguments.dtype}"] = report
    RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def all_stages(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the stages one after another, and compare the scores they left."""
    report: dict[str, Any] = {
        "device": place_name(arguments.device),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    for stage in ("write", "convert", "verify", "run"):
        report[stage] = in_own_process(arguments, stage)
    own = (arguments.device, arguments.dtype)
    others = {("cpu", "float32"), ("cpu", arguments.dtype), (arguments.device, "float32")} - {own}
    report["largest_difference"] = {}
    for device, dtype in sorted(others):
        in_own_process(arguments, "score", device=device, dtype=dtype)
        apart = np.abs(saved_scores(arguments, *own) - saved_scores(arguments, device, dtype))
        report["largest_difference"][f"{device} {dtype}"] = round(float(apart.max()), 6)
    print(json.dumps(report["largest_difference"]))
    return report


def in_own_process(
    arguments: argparse.Namespace, stage: str, *, device: str = "", dtype: str = ""
) -> dict[str, Any]:
    """Run a stage in a fresh process and return what it told."""
    command = [sys.executable, __file__, "--stage", stage, "--dir", str(arguments.dir)]
    command += ["--device", device or arguments.device, "--dtype", dtype or arguments.dtype]
    command += ["--threads", str(arguments.threads), "--rounds", str(arguments.rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    print(f"{stage}: {json.dumps(told, indent=2)}", flush=True)
    return told


def write(arguments: argparse.Namespace) -> dict[str, Any]:
    """Write a checkpoint as the release splits its own, a part at a time."""
    started = time.perf_counter()
    folder = arguments.dir / "release"
    folder.mkdir()
    shapes = official_shapes(CONFIG, n_positions=N_POSITIONS)
    names = list(shapes)
    size = -(-len(names) // N_PARTS)
    for part in range(N_PARTS):
        state = {name: drawn(name, shapes[name]) for name in names[part * size :][:size]}
        torch.save({"model_state_dict": state}, folder / f"foundation_part{part + 1}.pt")
        state.clear()
    encoder = {
        f"clap.{name}": drawn(name, shape)
        for name, shape in published_names(MsClapConfig()).items()
    }
    torch.save({"model": encoder}, folder / "clapcap_weights_2023.pth")
    write_tokenizer(folder)
    parts = sorted(folder.glob("foundation_part*.pt"))
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "names": len(names),
        "part_bytes": [path.stat().st_size for path in parts],
    }


def convert(arguments: argparse.Namespace) -> dict[str, Any]:
    """Convert it."""
    source = arguments.dir / "release"
    report = convert_flamingo(
        source,
        msclap=source / "clapcap_weights_2023.pth",
        tokenizer=source,
        folder=arguments.dir / "flamingo",
        dtype=arguments.dtype,
    )
    written = [path.stat().st_size for path in report.folder.iterdir()]
    return {
        "seconds": round(report.seconds, 1),
        "tensors": report.n_tensors,
        "notes": list(report.notes),
        "folder_bytes": sum(written),
    }


def verify(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare every file with its digest."""
    started = time.perf_counter()
    problems = verify_flamingo_folder(arguments.dir / "flamingo")
    return {"seconds": round(time.perf_counter() - started, 1), "problems": list(problems)}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Load it and ask at every number of shots."""
    recordings(arguments.dir)
    started = time.perf_counter()
    model = load(arguments)
    loaded_s = time.perf_counter() - started
    started = time.perf_counter()
    model.score(prompt(arguments.dir, 0, LABELS[:2]), LABELS[:2])
    first_s = time.perf_counter() - started
    windows, network = model.encoder, torch_network(model)
    assert isinstance(windows, MsClapWindows)
    told: dict[str, Any] = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "encoder_parameters": sum(p.numel() for p in windows.network.parameters()),
        "load_s": round(loaded_s, 2),
        "first_query_s": round(first_s, 2),
        "prompts": [],
    }
    for n_shots in SHOTS:
        for n_labels in N_LABELS:
            told["prompts"].append(asked(model, arguments, n_shots, n_labels))
    if network.device.type == "cuda":
        told["device_peak_bytes"] = torch.cuda.max_memory_allocated(network.device)
    save_scores(model, arguments)
    return told


def torch_network(model: FlamingoLanguageModel) -> Flamingo:
    """Return the torch network of a loaded model."""
    assert isinstance(model.network, TorchFlamingo)
    return model.network.model


def score(arguments: argparse.Namespace) -> dict[str, Any]:
    """Score labels elsewhere or in another precision, to compare."""
    save_scores(load(arguments), arguments)
    return {}


STAGES = {f.__name__: f for f in (write, convert, verify, run, score)}


def load(arguments: argparse.Namespace) -> FlamingoLanguageModel:
    """Load the converted folder; exemplars' features are kept as with an index."""
    model = load_flamingo(
        str(arguments.dir / "flamingo"), device=arguments.device, dtype=arguments.dtype
    )
    model.keep_features(FeatureCacheFolder(arguments.dir / "sounds.index"))
    return model


def asked(
    model: FlamingoLanguageModel, arguments: argparse.Namespace, n_shots: int, n_labels: int
) -> dict[str, Any]:
    """Ask one question several times and return the least seconds of each part."""
    labels = LABELS[:n_labels]
    device = torch_network(model).device
    least: dict[str, float] = {}
    told: dict[str, Any] = {"shots": n_shots, "labels": n_labels}
    for ref in prompt(arguments.dir, n_shots, labels).clips[:-1]:
        model.features(ref)  # an index has heard its exemplars long ago
    for _ in range(arguments.rounds):
        question = prompt(arguments.dir, n_shots, labels)
        marks = {"hear_query": elapsed(device)}
        model.features(question.clips[-1])
        marks["score"] = elapsed(device)
        model.score(question, labels)
        marks["write_first"] = elapsed(device)
        arrays = model.arrays(question)
        options = GenerationOptions(max_new_tokens=N_WRITTEN)
        # No stop, so that every model and machine writes as many tokens.
        steps = model.network.decode(arrays, options, stop_ids=())
        next(steps)
        marks["write_others"] = elapsed(device)
        n_others = sum(1 for _ in steps)
        marks["end"] = elapsed(device)
        times = list(marks.values())
        spent = {n: b - a for n, a, b in zip(marks, times[:-1], times[1:], strict=False)}
        for name, seconds in spent.items():
            least[name] = min(least.get(name, np.inf), seconds)
        told["prompt_tokens"] = len(arrays.ids)
        told["slots"] = len(arrays.window_mask) // CONFIG.windows_per_audio
    told["seconds"] = {name: round(seconds, 4) for name, seconds in least.items()}
    told["classify_s"] = round(least["hear_query"] + least["score"], 3)
    written_s = least["write_first"] + least["write_others"]
    told["write_s"] = round(least["hear_query"] + written_s, 3)
    told["tokens_per_s"] = round(n_others / least["write_others"], 2)
    return told


def save_scores(model: FlamingoLanguageModel, arguments: argparse.Namespace) -> None:
    """Write the log-probability of every token of ten labels after seven shots."""
    labels = LABELS[: N_LABELS[0]]
    scores = model.score(prompt(arguments.dir, SHOTS[-1], labels), labels)
    np.save(_scores_path(arguments, arguments.device, arguments.dtype), np.concatenate(scores))


def saved_scores(arguments: argparse.Namespace, device: str, dtype: str) -> NDArray[np.float64]:
    """Read what a stage left."""
    return np.asarray(np.load(_scores_path(arguments, device, dtype)), dtype=np.float64)


def _scores_path(arguments: argparse.Namespace, device: str, dtype: str) -> Path:
    folder: Path = arguments.dir
    return folder / f"scores {device.replace(':', ' ')} {dtype}.npy"


def prompt(folder: Path, n_shots: int, labels: list[str]) -> Prompt:
    """Return a few-shot prompt; its query is a recording not met before."""
    parts: list[Text | ClipRef] = [
        Text(kind="system", text="Here are similar examples. The task is event classification.")
    ]
    for number in range(n_shots):
        audio = folder / f"{number}.wav"
        content = load_audio(audio).content_sha256
        parts += [
            ClipRef(audio=audio, content_sha256=content, is_exemplar=True),
            Text(kind="exemplar", text="Classify this sound."),
            Text(kind="exemplar", text=LABELS[number], is_answer=True),
        ]
    options = "".join(f"\n - {label}." for label in sorted(labels))
    query = ClipRef(audio=folder / "query.wav", content_sha256=f"{time.perf_counter_ns():064x}")
    question = Text(kind="user", text=f"Classify this sound.\nOPTIONS:{options}")
    return Prompt(parts=(*parts, query, question))


def recordings(folder: Path) -> None:
    """Write the exemplars' and the query's audio: noise, each its own."""
    rng = np.random.default_rng(0)
    for name in (*range(max(SHOTS)), "query"):
        noise = 0.1 * rng.standard_normal(round(RECORDING_S * RATE))
        soundfile.write(folder / f"{name}.wav", noise, RATE)


def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Draw a tensor of a released file; copies are equal, as names decide the numbers."""
    if name == POSITIONS:
        return position_table(N_POSITIONS, shape[-1])[None]
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if name.endswith("_gate"):  # closed gates, as before training, would make it deaf
        return torch.full(shape, 0.5)
    if len(shape) == 1:
        return torch.full(shape, float(name.endswith(("weight", "running_var"))))
    seed = zlib.crc32((overriding_name(name) or name).encode())
    spread = float(np.prod(shape[1:])) ** -0.5
    return torch.empty(shape).normal_(std=spread, generator=torch.Generator().manual_seed(seed))


def write_tokenizer(folder: Path) -> None:
    """Write OPT's two files with words of these prompts for tokens, and as many as OPT's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    questions = [prompt(folder, n, LABELS) for n in (0, max(SHOTS))]
    segments = [s for q in questions for s in render_prompt(q) if not isinstance(s, Control)]
    segments += [str(render_continuation(label)[0]) for label in LABELS]
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        show_progress=False,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    words.train_from_iterator(segments, trainer)
    words.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    for number in range(len(vocabulary), CONFIG.audio_id):
        vocabulary[f"unused{number}"] = number
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")


def elapsed(device: torch.device) -> float:
    """Return the time in seconds once all that was asked of a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Note this process's peak memory: with mapped files, and without them."""
    told: dict[str, int] = {}
    over = threading.Event()
    most = [0]

    def watch() -> None:
        while not over.wait(0.05):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            (line,) = [x for x in status.splitlines() if x.startswith("RssAnon:")]
            most[0] = max(most[0], int(line.split()[1]) * 1024)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield told
    finally:
        over.set()
        watcher.join()
        told["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told["peak_bytes_without_files"] = most[0]


if __name__ == "__main__":
    main()
