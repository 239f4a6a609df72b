"""Forked processes, such as workers of ``gunicorn --preload``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.facilities import needs
from tests.support.tones import write_tone

# Two threads, so that torch's own exist before the fork. A child that hangs, even at its end, is
# ended by its alarm, which is no exit status 0.
_PROGRAM = """
import json, os, shutil, signal, sys, torch
from earful import FewShot, Index, build_index, load_embedder
torch.set_num_threads(2)
build_index("corpus", "s.index", embedder=load_embedder("earful-small"))
few = FewShot.open("s.index", model="earful-small")

def in_child(do):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            told = [type(found := do()).__name__, str(found)]
        except Exception as error:
            told = [type(error).__name__, str(error)]
        os.write(write, json.dumps(told).encode())
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(write)
    print(json.dumps([status, *json.loads(os.read(read, 60_000) or '["nothing", ""]')]))

ask = lambda: json.dumps(few.classify("q.wav").to_dict())
vote = lambda: json.dumps(few.classify("q.wav", arm="vote").to_dict())
in_child(ask)
shutil.rmtree("s.index/snapshot")
few = FewShot.open("s.index", model="earful-small")
in_child(ask)
few.index.vectors(), few.index.class_scores
in_child(vote)
in_child(ask)
in_child(lambda: torch.get_num_threads())
in_child(lambda: len(few.search("q.wav", k=3)))
in_child(lambda: len(Index.open("s.index").vectors()))
shutil.rmtree("s.index/snapshot")
in_child(lambda: Index.open("s.index"))
in_child(lambda: few.index.remove(["hum/0.wav"]))
in_child(lambda: few.search("q.wav", backend="half"))
print(vote())
print(ask())
"""


@needs("fork")
@pytest.mark.slow
def test_a_forked_child_answers_from_a_snapshot_or_rows_that_were_read_and_else_names_spawn(
    tmp_path: Path,
) -> None:
    for seed in range(3):
        write_tone(tmp_path / f"corpus/hum/{seed}.wav", 120 + 5 * seed, seed)
        write_tone(tmp_path / f"corpus/whistle/{seed}.wav", 3000 + 50 * seed, seed + 10)
    write_tone(tmp_path / "q.wav", 130, 99)
    words = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    lines = done.stdout.splitlines()
    mapped, cold, voted, asked, threads, found, opened, *refused = map(json.loads, lines[:-2])
    assert mapped == [0, "str", lines[-1]]
    assert voted == [0, "str", lines[-2]]
    assert asked == [0, "str", lines[-1]]
    assert threads == [0, "int", "1"]
    assert found == [0, "int", "3"]
    assert opened == [0, "int", "6"]
    assert len(refused) == 3
    for status, kind, told in (cold, *refused):
        assert (status, kind) == (0, "IndexFolderError"), told
        assert "s.index: " in told
        assert "'spawn'" in told
        assert "index.vectors()" in told
