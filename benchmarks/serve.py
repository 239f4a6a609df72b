"""The page of ``earful serve`` beside the same review page made with Gradio, in one run.

Both are looked at by one headless Chromium, in turns, each in a fresh context:

- from a key (or a click) to the next item painted and playing. Ours decodes a FLAC and draws its
  spectrogram; Gradio's sends pieces and pictures that were made before;
- the first visit: bytes and requests without sounds and pictures, the first paint, and for ours
  the first item painted;
- a label durable over HTTP, beside what BirdNET-Analyzer's review does: the file is moved into
  ``Positive/``, and added to an index by the command line;
- resident memory after the visits, with no encoder loaded;
- 10,000 events listed over HTTP, beside the bare encoding of the same rows as JSON.

Needs Chromium and, for Gradio's environment, a package index.

    ./dev bench serve

writes ``benchmarks/results/serve.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile
from benchmarks.scan import LABEL, write_examples
from benchmarks.turns import keep, machine, times

from earful.index.annotations import Event, RecordingRow, event_id
from earful.model.audio import load_audio
from earful.rag.scan import Events, LabelSummary

ROOT: Final = Path(__file__).resolve().parent.parent
SOUNDS: Final = ROOT / "notebooks" / "demo" / "sounds"
GRADIO: Final = "6.31.0"
RATE: Final = 22_050
NIGHT_S: Final = 300
EVERY_S: Final = 5
N_PIECES: Final = 12
PIECE_S: Final = 4
N_EVENTS: Final = 10_000
LISTEN_MS: Final = 1200
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
EARFUL: Final = [sys.executable, "-m", "earful"]

# Notes when a sound plays, in every page, whatever element plays it.
WATCH: Final = """
  window.seen = { playing: 0, began: 0 };
  const watch = (one) => {
    one.addEventListener("playing", () => { seen.playing = performance.now(); });
    return one;
  };
  const create = Document.prototype.createElement;
  Document.prototype.createElement = function (name, ...more) {
    const made = create.call(this, name, ...more);
    return made instanceof HTMLMediaElement ? watch(made) : made;
  };
  window.Audio = new Proxy(Audio, { construct: (own, given) => watch(new own(...given)) });
  for (const kind of ["keydown", "click"]) {
    addEventListener(kind, () => { if (!seen.began) seen.began = performance.now(); }, true);
  }
"""
# Resolves when a new item is painted and plays; milliseconds from the key or click.
NEXT: Final = """before => new Promise((resolve, reject) => {
  const isShown = before => { SHOWN };
  const step = () => {
    if (seen.began && seen.playing > seen.began && isShown(before)) {
      requestAnimationFrame(() => requestAnimationFrame(() =>
        resolve(Math.max(performance.now(), seen.playing) - seen.began)));
    } else requestAnimationFrame(step);
  };
  setTimeout(() => reject(new Error("no next item within 20 s")), 20000);
  step();
})"""
OURS_SHOWN: Final = """
  const told = document.querySelector(".meta")?.textContent;
  const canvas = document.querySelector(".big canvas");
  if (!told || told === before || !canvas?.width) return false;
  const { data } = canvas.getContext("2d").getImageData(0, canvas.height >> 1, canvas.width, 1);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) colours.add(data[at] << 16 | data[at + 1] << 8);
  return colours.size > 8;
"""
GRADIO_SHOWN: Final = """
  const told = document.querySelector("textarea")?.value;
  const image = document.querySelector("main img, .gradio-container img");
  return Boolean(told && told !== before && image?.complete && image.naturalWidth
    && image.dataset.seen !== image.src && (image.dataset.seen = image.src));
"""


def main() -> None:
    """Let both pages take turns, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    report: dict[str, Any] = {"machine": machine(), "rounds": rounds, "gradio": GRADIO}
    with tempfile.TemporaryDirectory(prefix="earful-bench-") as scratch:
        folder = Path(scratch)
        make_night(folder)
        with (
            gradio_page(folder) as (gradio, gradio_pid),
            our_page(folder, "night.scan") as (
                ours,
                our_pid,
            ),
        ):
            report |= look_at(ours, gradio, rounds, (our_pid, gradio_pid))
            report["label"] = label_beside_moves(ours, folder, rounds)
        with our_page(folder, "big.scan") as (ours, _):
            report["events"] = list_events(ours, rounds)
    tell(report)
    keep("serve", report)


# --- what is served -------------------------------------------------------------------------------


def make_night(folder: Path) -> None:
    """Write the demo's index, a scanned recording, a scan of 10,000 events, and Gradio's items."""
    build = ["index", "build", str(SOUNDS), "--index", str(folder / "sounds.index")]
    subprocess.run([*EARFUL, *build], check=True, stdout=subprocess.DEVNULL)
    clips = [
        load_audio(one, sample_rate=RATE).samples for one in sorted((SOUNDS / LABEL).iterdir())
    ]
    samples = np.random.default_rng(0).normal(0, 0.01, NIGHT_S * RATE).astype(np.float32)
    starts = [float(at) for at in range(2, NIGHT_S - EVERY_S, EVERY_S)]
    for number, at in enumerate(starts):
        clip = clips[number % len(clips)][: 2 * RATE]
        samples[int(at * RATE) : int(at * RATE) + len(clip)] += 0.3 * clip / np.abs(clip).max()
    soundfile.write(folder / "night.flac", samples, RATE)
    write_examples(folder / "calls.csv", folder / "night.flac", starts[:5])
    scan = ["scan", "night.flac", "--examples", "calls.csv", "-o", "night.scan"]
    subprocess.run([*EARFUL, *scan], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    big_scan().write(folder / "big.scan")
    (folder / "gradio").mkdir()
    for number in range(N_PIECES):
        at = int(starts[number % len(starts)] * RATE)
        piece = samples[at : at + PIECE_S * RATE]
        soundfile.write(folder / "gradio" / f"{number}.wav", piece, RATE)
        write_picture(folder / "gradio" / f"{number}.png", piece)


def write_picture(path: Path, samples: Any) -> None:
    """Draw the spectrogram of a piece as large as ours, in grey."""
    from PIL import Image

    frames = np.lib.stride_tricks.sliding_window_view(samples, 510)[:: len(samples) // 1024]
    levels = np.log1p(np.abs(np.fft.rfft(frames[:1024] * np.hanning(510))) * 1000)
    grey = (255 * levels / levels.max()).astype(np.uint8).T[::-1]
    Image.fromarray(np.ascontiguousarray(grey)).save(path)


def big_scan() -> Events:
    """Return a scan of so many events of a recording that is not there."""
    sha256 = "ab" * 32
    rows = tuple(
        Event(
            event_id=event_id(sha256, LABEL, float(at), at + 1.0),
            recording="SITE7_20260503_043000.wav",
            recording_sha256=sha256,
            start_s=float(at),
            end_s=at + 1.0,
            label=LABEL,
            score=0.8,
        )
        for at in range(N_EVENTS)
    )
    recording = RecordingRow(recording=rows[0].recording, sha256=sha256, duration_s=2e4)
    summary = LabelSummary(
        label=LABEL, n_examples=5, detector="neighbours", background="", threshold=0.7
    )
    return Events(rows=rows, recordings=(recording,), summaries=(summary,))


@contextmanager
def our_page(folder: Path, scan: str) -> Iterator[tuple[str, int]]:
    """Serve a scan by the command line; give the address with the token, and the process."""
    words = ["serve", "--index", "sounds.index", "--scan", scan, "--port", "0", "--no-open"]
    process = subprocess.Popen(
        [*EARFUL, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            found = [word for word in line.split() if word.startswith("http://")]
            if found:
                yield found[0], process.pid
                return
        raise SystemExit(f"earful serve has ended: {''.join(lines)}")
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def gradio_page(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve Gradio's page from an environment of its own, which goes with the folder."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise SystemExit("needs uv; run it by ./dev bench serve")
    python = folder / "env" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder / "env"], check=True)
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", python, f"gradio=={GRADIO}"], check=True
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(__file__).with_name("serve_gradio.py")
    process = subprocess.Popen(
        [python, program, folder / "gradio", str(port)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(address, timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(30)


# --- what is looked at ----------------------------------------------------------------------------


def look_at(ours: str, gradio: str, rounds: int, pids: tuple[int, int]) -> dict[str, Any]:
    """Visit both pages in turns, and label on both in turns; weigh their servers in between.

    Labels that become rows have the encoder loaded: what is told is from before.
    """
    from playwright.sync_api import sync_playwright

    found = os.environ.get("EARFUL_CHROMIUM") or next(
        filter(None, map(shutil.which, CHROMIUM)), None
    )
    if found is None:
        raise SystemExit("needs Chromium: apt-get install chromium, or set EARFUL_CHROMIUM")
    options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    visits: dict[str, list[dict[str, float]]] = {"earful": [], "gradio": []}
    keys: dict[str, list[float]] = {"earful": [], "gradio": []}
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=found, args=options)
        # One visit each that does not count: the first starts the browser's processes.
        for number in range(rounds + 1):
            for name in sorted(visits, reverse=bool(number % 2)):
                one = visit(browser, ours if name == "earful" else gradio, is_ours=name == "earful")
                if number:
                    visits[name].append(one)
        memory = dict(zip(visits, map(resident, pids), strict=True))
        pages = {name: open_page(browser, ours if name == "earful" else gradio) for name in visits}
        for name, page in pages.items():
            press(page, is_ours=name == "earful")
        for number in range(rounds):
            for name in sorted(pages, reverse=bool(number % 2)):
                keys[name].append(press(pages[name], is_ours=name == "earful"))
        browser.close()
    return {
        "resident_mib": memory,
        "key_to_next_ms": {name: [round(one) for one in some] for name, some in keys.items()},
        "key_to_next_times": times(keys["gradio"], keys["earful"]),
        "first_visit": {
            name: {what: round(median(one[what] for one in some)) for what in some[0]}
            for name, some in visits.items()
        },
    }


def open_page(browser: Any, address: str) -> Any:
    """Open a page in a context of its own."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    return page


def visit(browser: Any, address: str, *, is_ours: bool) -> dict[str, float]:
    """Visit a page for the first time; return bytes, requests and milliseconds."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    asked: dict[str, str] = {}
    sizes: dict[str, float] = {}
    session.on(
        "Network.requestWillBeSent", lambda e: asked.update({e["requestId"]: e["request"]["url"]})
    )
    session.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    page.add_init_script(WATCH)
    began = time.perf_counter()
    # A visit with a token is sent on to the page; what is measured begins there.
    page.goto(address)
    if is_ours:
        page.wait_for_function(f"() => {{ const before = null; {OURS_SHOWN} }}")
    else:
        page.wait_for_selector("#next")
    shown_ms = (time.perf_counter() - began) * 1000
    page.wait_for_timeout(1500)
    paint = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
    )
    content = ("/api/audio/", "/api/spectrogram/", "/api/overview/")
    own = {key: url for key, url in asked.items() if not any(part in url for part in content)}
    hosts = {urlsplit(url).netloc for url in own.values() if url.startswith("http")}
    page.context.close()
    return {
        "requests": len(own),
        "bytes": sum(sizes.get(key, 0) for key in own),
        "hosts": len(hosts),
        "first_paint_ms": paint,
        "shown_ms": shown_ms,
    }


def press(page: Any, *, is_ours: bool) -> float:
    """Label an item, and return the milliseconds until the next one is painted and plays."""
    if is_ours:
        page.wait_for_function(f"() => {{ const before = null; {OURS_SHOWN} }}")
        before = page.evaluate("document.querySelector('.meta').textContent")
    else:
        page.wait_for_selector("#next")
        before = page.evaluate("document.querySelector('textarea')?.value ?? ''")
    # A reviewer listens first.
    page.wait_for_timeout(LISTEN_MS)
    page.evaluate("seen.began = 0; seen.playing = 0")
    if is_ours:
        page.keyboard.press("y")
    else:
        page.evaluate("document.querySelector('#next').click()")
    shown = OURS_SHOWN if is_ours else GRADIO_SHOWN
    return float(page.evaluate(NEXT.replace("SHOWN", shown), before))


# --- what is asked --------------------------------------------------------------------------------


def client_of(address: str) -> httpx.Client:
    """Return a client that has the token of an address."""
    parts = urlsplit(address)
    client = httpx.Client(base_url=f"http://{parts.netloc}", timeout=60)
    client.headers["authorization"] = f"Bearer {token_of(parts.query)}"
    return client


def token_of(query: str) -> str:
    """Return the token in a query."""
    return query.removeprefix("token=")


def label_beside_moves(address: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Give labels over HTTP; move files and add them by the command line beside."""
    shutil.copytree(folder / "sounds.index", folder / "moved.index")
    (folder / "Positive").mkdir()
    ours, theirs = [], []
    with client_of(address) as client:
        items = client.get("/api/queue", params={"n": rounds + 1}).json()["items"]
        for number in range(rounds + 1):
            item = items[number % len(items)]
            body = {"item": item["item"], "label": LABEL, "polarity": "positive"}
            began = time.perf_counter()
            client.post("/api/labels", json=body).raise_for_status()
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            moved = folder / "Positive" / f"{number}.wav"
            shutil.move(folder / "gradio" / f"{number}.wav", moved)
            words = ["index", "add", str(moved), "--label", LABEL, "--index", "moved.index"]
            subprocess.run([*EARFUL, *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)
            theirs.append(time.perf_counter() - began)
    ours, theirs = ours[1:], theirs[1:]
    return {
        "ms": {"earful": round(median(ours) * 1000, 1), "moves": round(median(theirs) * 1000, 1)},
        "times": times(theirs, ours),
    }


def list_events(address: str, rounds: int) -> dict[str, Any]:
    """List all events in pages of 500, beside the bare encoding of the same rows as JSON."""
    listed: list[float] = []
    bare: list[float] = []
    rows: list[dict[str, Any]] = []
    with client_of(address) as client:
        for _ in range(rounds + 1):
            rows, cursor = [], ""
            began = time.perf_counter()
            while cursor is not None:
                found = client.get("/api/events", params={"cursor": cursor, "limit": 500}).json()
                rows += found["events"]
                cursor = found["cursor"]
            listed.append(time.perf_counter() - began)
            began = time.perf_counter()
            json.dumps(rows)
            bare.append(time.perf_counter() - began)
    assert len(rows) == N_EVENTS
    return {
        "n": len(rows),
        "seconds": round(median(listed[1:]), 3),
        "json_seconds": round(median(bare[1:]), 3),
        "times": times(bare[1:], listed[1:]),
    }


def resident(pid: int) -> float:
    """Return the resident memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(one for one in lines if one.startswith("VmRSS:")).split()[1]) / 1024, 1)


def tell(report: dict[str, Any]) -> None:
    """Print what was measured."""
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
