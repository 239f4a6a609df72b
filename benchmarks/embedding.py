"""How fast files become vectors, beside what one would use instead.

Everybody reads the same files (noise and tones, 10 s, 44.1 kHz, so resampling is part of the
work) with an encoder of the published shape, HTSAT-tiny with random weights: speed does not
depend on them. Ours does more than the others: it builds an index, digests and commit
included. Contestants take turns, each in a process of its own with the same cores.

    ./dev run tests/parity/make_laion_clap_environment.sh /tmp/laion-clap
    ./dev bench embedding --laion-clap /tmp/laion-clap

writes ``benchmarks/results/embedding.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from benchmarks.limits import gflop, measured_limits
from benchmarks.turns import Contestant, Turns, keep, machine, spread, table_of, take_turns, times

RATE = 44_100
SECONDS = 10.0
N_CLASSIFIED = 4
N_MANY = 128
ALONE = "earful, the encoder alone"
LEAST_COSINE = 0.999
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Make weights and files, let everybody take turns, print tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--laion-clap", type=Path, help="environment with that package")
    arguments = parser.parse_args()
    on = ("--device", arguments.device)
    n_cores = len(os.sched_getaffinity(0))
    report: dict[str, Any] = {
        "machine": machine(),
        "device": arguments.device,
        "files": arguments.files,
        "seconds_each": SECONDS,
        "rounds": arguments.rounds,
        "threads": n_cores,
        "limit": measured_limits(n_cores) | {"gflop_per_window": window_gflop()},
    }
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "weights"
        write_weights(weights)
        for form in ("wav", "mp3"):
            folder = Path(scratch) / form
            write_files(folder / "sounds", form, arguments.files)
            env = arguments.laion_clap if form == "wav" else None
            contestants = files_to_vectors(weights, folder, n_cores, env, on, form == "wav")
            turns = take_turns(contestants, n_rounds=arguments.rounds)
            refuse_other_vectors(turns)
            report[form] = rows_of(turns, arguments.files)
            print(f"\n{form}, {arguments.files} files of {SECONDS:g} s, {n_cores} threads\n")
            print(table_of(report[form], "ms a file"))
        many = Path(scratch) / "many"
        write_files(many / "sounds", "wav", N_MANY)
        turns = take_turns(
            {
                "earful": ours(weights, many, n_cores, *on),
                "earful, one core": ours(weights, many, 1, *on),
                ALONE: ours(weights, many, n_cores, "--stage", "encode", *on),
            },
            n_rounds=arguments.rounds,
        )
        report["many wav"] = rows_of(turns, N_MANY)
        print(f"\nwav, {N_MANY} files\n")
        print(table_of(report["many wav"], "ms a file"))
        few = Path(scratch) / "few"
        write_files(few / "sounds", "wav", N_CLASSIFIED)
        turns = take_turns(
            {
                "earful": ours(weights, few, n_cores, way="zero-shot"),
                "transformers' pipeline": ours(weights, few, n_cores, way="pipeline"),
            },
            n_rounds=arguments.rounds,
        )
        report["zero-shot, 50 labels"] = rows_of(turns, N_CLASSIFIED)
        print(f"\nzero-shot classification among 50 labels, {N_CLASSIFIED} files\n")
        print(table_of(report["zero-shot, 50 labels"], "ms a file"))
    report["shares"] = shares(report)
    print(json.dumps(report["shares"], indent=2))
    keep("embedding" if arguments.device == "cpu" else "embedding_gpu", report)


def write_weights(folder: Path) -> None:
    """Write a checkpoint of the published shape in the hub's layout, with random weights."""
    import torch
    import transformers
    from tokenizers import pre_tokenizers

    torch.manual_seed(0)
    transformers.ClapModel(transformers.ClapConfig()).save_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        "<mask>",
    ]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = transformers.RobertaTokenizerFast(vocab=vocabulary, merges=[])
    processor: Any = transformers.ClapProcessor
    processor(extractor, tokenizer).save_pretrained(folder)
    # As the package laion-clap, whose transformers are older, reads it.
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def write_files(folder: Path, form: str, n: int) -> None:
    """Write ``n`` different sounds."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    time_s = np.arange(round(RATE * SECONDS)) / RATE
    for number in range(n):
        tone = np.sin(2 * np.pi * rng.uniform(50, 4000) * time_s)
        sound = 0.3 * tone + 0.1 * rng.standard_normal(time_s.size)
        soundfile.write(folder / f"{number:03}.{form}", sound, RATE)


def files_to_vectors(
    weights: Path,
    folder: Path,
    n_cores: int,
    laion_clap: Path | None,
    on: tuple[str, ...],
    everybody: bool,
) -> dict[str, Contestant]:
    """Return who takes part."""
    found = {
        "earful": ours(weights, folder, n_cores, *on),
        "earful, one core": ours(weights, folder, 1, *on),
        "earful, float32": ours(weights, folder, n_cores, "--dtype", "float32", *on),
        "transformers + librosa, batch 1": ours(weights, folder, n_cores, *on, way="transformers"),
    }
    if everybody:
        found |= {
            "earful, vectors of decoded clips": ours(
                weights, folder, n_cores, "--stage", "embed", *on
            ),
            ALONE: ours(weights, folder, n_cores, "--stage", "encode", *on),
            "transformers + librosa, batch 16": ours(
                weights, folder, n_cores, "--batch", "16", *on, way="transformers"
            ),
        }
    if laion_clap is not None:
        worker = str(HERE / "laion_clap_worker.py")
        python = str(laion_clap / "bin" / "python")
        found["laion-clap, file list"] = Contestant(
            command=[python, worker, str(weights), str(folder)], n_threads=n_cores
        )
    return found


def ours(
    weights: Path, folder: Path, n_threads: int, *options: str, way: str = "earful"
) -> Contestant:
    """Return a contestant that runs in this environment."""
    command = [sys.executable, "-m", "benchmarks.embedding_worker", way]
    command += ["--weights", str(weights), "--files", str(folder), *options]
    return Contestant(command=command, n_threads=n_threads)


def refuse_other_vectors(turns: Turns) -> None:
    """Check that everybody with the same weights made the same vector of the first file.

    Raises:
        RuntimeError: Somebody did not.
    """
    expected = np.array(turns.results["transformers + librosa, batch 1"])
    for name, vector in turns.results.items():
        # The package makes its own random weights.
        if not name.startswith("laion-clap"):
            cosine = float(np.array(vector) @ expected)
            if not cosine >= LEAST_COSINE:
                raise RuntimeError(f"{name} made another vector: cosine {cosine:.5f}")


def rows_of(turns: Turns, n: int) -> dict[str, Any]:
    """Return each contestant's spread and how many times as long as ours it took."""
    return {
        name: {
            "ms": spread(seconds, n=n),
            "times": times(turns.seconds["earful"], seconds),
            **turns.told[name],
        }
        for name, seconds in turns.seconds.items()
    }


def window_gflop() -> float:
    """Return the billions of operations that HTSAT-tiny asks for in a window."""
    import torch

    from earful.model.encoders import Htsat, HtsatConfig

    return round(gflop(Htsat(HtsatConfig()).eval(), torch.zeros(1, 1001, 64)), 3)


def shares(report: dict[str, Any]) -> dict[str, float]:
    """Return what part of the whole time is the encoder's, and of the limit is reached."""
    wav = report["wav"]
    ms = {name: row["ms"]["median"] for name, row in wav.items()}
    limit = report["limit"]
    floor_ms = {
        dtype: limit["gflop_per_window"] / limit[f"{dtype}_gflops"] * 1000
        for dtype in ("float32", "bfloat16")
    }
    dtype = wav["earful"]["dtype"]
    many = {name: row["ms"]["median"] for name, row in report["many wav"].items()}
    return {
        "encoder_of_whole": round(many[ALONE] / many["earful"], 3),
        "two_cores_over_one": round(many["earful, one core"] / many["earful"], 2),
        "floor_ms_float32": round(floor_ms["float32"], 2),
        "floor_ms_bfloat16": round(floor_ms["bfloat16"], 2),
        "limit_reached_by_encoder": round(floor_ms[dtype] / ms[ALONE], 3),
        "limit_reached_end_to_end": round(floor_ms[dtype] / ms["earful"], 3),
        "limit_reached_float32": round(floor_ms["float32"] / ms["earful, float32"], 3),
        "limit_reached_by_transformers": round(
            floor_ms["float32"] / ms["transformers + librosa, batch 1"], 3
        ),
    }


if __name__ == "__main__":
    main()
