"""Twenty thousand damaged tables and task files, and ten thousand labels.

Whatever is done to the bytes of a table, it is read as rows that obey every rule, or refused
by an error of this package: never by another exception, never after seconds.
"""

import io
import json
import random
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from numpy.typing import NDArray

from earful.errors import CorpusError, TaskError
from earful.index import Index
from earful.index.corpus import Exemplar, open_corpus
from earful.index.corpus.limits import exemplar_fault
from earful.index.datasets.declaration import ReaderName, Source
from earful.index.datasets.readers import read_source
from earful.index.storage import Row
from earful.model import load_embedder
from earful.model.audio import Clip
from earful.rag import FewShot
from earful.rag.task import load_task
from tests.support.nasty_tables import parquet

SLOWEST_S = 5.0
LONGEST_MESSAGE = 3000
TRIED = {"csv": 4000, "tsv": 2000, "jsonl": 4000, "parquet": 5000, "toml": 5000}
TRIED_SOURCES = {"json": 1000, "jsonl": 1000, "yaml": 1500, "csv": 1000, "tar": 1000}
TRIED_SOURCES |= {"parquet": 500, "pickle": 1000}

CSV = (
    b"audio,labels,start_s,end_s,question,answer,group,mood\n"
    b'a.wav,dog|big,0.5,2,"Is it a ""dog""?","yes,\nit is",rex,calm\n'
    b"b.wav,caf\xc3\xa9,,,,,,\n"
    b'sub/c.wav,"rain, wind",1e0,,,,"x",\r\n'
)
JSON_LINES = (
    b'{"audio": "a.wav", "labels": ["dog", "big"], "start_s": 0.5, "end_s": 2, "mood": null}\n'
    b'{"audio": "b.wav", "labels": "caf\\u00e9|x", "question": "What?", "group": 7, "n": 1.5}\n'
    b'{"audio": "sub/c.wav", "answer": "rain\\n\\ud83d\\ude00", "fine": true}\n'
)
TASKS = (
    b'name = "machines"\nkind = "classify"\nquestion = "Is it \\u0041?"\n[labels.normal]\n'
    b'wording = """a machine\nrunning"""\naliases = ["ok", \'fine\']\n[labels.faulty]\n[shots]\n'
    b'k = 8\nstrategy = "balanced"\ndiversity = 0.3\n[answer]\nabstain_below = 1e-1\n'
    b'[[examples]]\naudio = "a.wav"\nlabel = "ok"\nstart_s = 0.5\nend_s = 2\n'
    b'[[examples]]\naudio = "b.wav"\nlabels = ["faulty"]\ngroup = "g"\n',
    b'kind = "multilabel"\nlabels = ["dog", "big", "caf\xc3\xa9"]\nexamples = "t.csv"\n'
    b'aliases = ["x"]\n[evaluation]\nsubset = ["binary"]\nanswers = "written" # why\n',
    b'kind = "ask"\nexamples = [{audio = "a.wav", answer = "yes", question = "Dog?"}]\n'
    b"[answer]\nlists_labels = true\nyes_no_options = false\n",
)
# What breaks parsers, to be put in anywhere.
TOKENS = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\r",
        b"\n",
        b'"',
        b'""',
        b"'",
        b'"""',
        b"'''",
    ),
    *(
        b",",
        b"\t",
        b"|",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"=",
        b".",
        b":",
        b"#",
        b"\\",
        b"\\u",
        b"*",
    ),
    *(b"\\ud800", b"\\u0000", b"\xed\xa0\x80", b"\xc2\x9b", b"\x1b[31m", b"\xe2\x80\xae", b"&a "),
    *(b"NaN", b"-Infinity", b"1e999", b"1_0", b"0x" + b"f" * 5000, b"9" * 5000, b"null", b"true"),
    *(b"../", b"/etc/passwd", b"file:/x", b"http://x/", b"!!python/object:os.system ", b"---\n"),
    *(b"x" * 2000, b"[" * 3000, b"a." * 3000, b"x" * 200_000, b'{"a":' * 2000, b"1979-05-27"),
)


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Damage bytes in one to four places."""
    for _ in range(draw.choice((1, 1, 2, 4))):
        content = _once_mutated(content, draw)
    return content


def _once_mutated(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    until = min(len(content), at + draw.randint(1, 40))
    elsewhere = draw.randrange(len(content) + 1)
    before, after = content[:at], content[at:]
    ways = {
        "another byte": before + bytes([draw.randrange(256)]) + after[1:],
        "another letter": before + draw.choice(b"abcxyz019 ").to_bytes() + after[1:],
        "a bit flipped": before + bytes(byte ^ (1 << draw.randrange(8)) for byte in after[:1]),
        "some taken out": before + content[until:],
        "cut off": before,
        "something put in": before + draw.choice(TOKENS) + after,
        "some twice": content[:until] + after,
        "some from elsewhere": before + content[elsewhere : elsewhere + 200] + after,
    }
    ways["a bit flipped"] += after[1:]
    return ways[draw.choice(list(ways))]


def parquet_tables() -> tuple[bytes, ...]:
    """Give tables that take different ways through a Parquet reader."""
    names = [f"{number}.wav" for number in range(40)]
    labels = [["dog", "big"], ["caf\u00e9"], None, []] * 10
    times = [datetime(2020, 2, 29, 12)] * 40
    columns: dict[str, Sequence[object]] = {
        "audio": names,
        "labels": labels,
        "when": times,
        "n": range(40),
        "x": [0.5] * 40,
    }
    listed = {name: list(values) for name, values in columns.items()}
    return (
        parquet(listed),
        parquet(listed, compression="zstd", row_group_size=10, data_page_version="2.0"),
        parquet(listed, compression="none", use_dictionary=False, write_page_checksum=True),
        parquet({"audio": names[:3], "label": ["a", None, "b"]}, compression="gzip"),
    )


def check_table(path: Path) -> None:
    """Read a table, and check what comes out of it."""
    corpus = open_corpus(path)
    ids = Counter(row.exemplar.id for row in corpus)
    assert set(ids.values()) == {1}
    for row in corpus:
        exemplar = row.exemplar
        assert exemplar_fault(exemplar) == ""
        assert corpus.path(exemplar).resolve().is_relative_to(corpus.root)
        assert str(row.where).startswith(f"{path}:")
        json.dumps([*exemplar.labels, exemplar.question, exemplar.answer]).encode()
        "".join([*exemplar.labels, exemplar.question, *exemplar.meta.values()]).encode()


def check_task(path: Path) -> None:
    """Read a task file, and check what comes out of it."""
    for example in load_task(path).examples:
        assert example.path.is_relative_to(path.parent)
        assert exemplar_fault(example.exemplar) == ""


def check_source(source: Source, path: Path) -> None:
    """Read a file of a dataset as its declaration would."""
    for where, _ in read_source(path.parent, source):
        assert where.startswith(str(path))


class Outcomes:
    """Counts what becomes of damaged files, and fails on what must not happen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draw = random.Random(20260101)
        self.tried = self.accepted = self.refused = 0

    def run(
        self, name: str, originals: tuple[bytes, ...], n: int, read: Callable[[Path], None]
    ) -> None:
        path = self._folder / name
        for number in range(n):
            self.tried += 1
            content = mutated(self._draw.choice(originals), self._draw)
            path.write_bytes(content)
            began = time.perf_counter()
            problem = self._outcome(path, read)
            if not problem and (took_s := time.perf_counter() - began) > SLOWEST_S:
                problem = f"took {took_s:.1f} s"
            if problem:
                kept = self._folder.parent / f"found-{number}-{name}"
                kept.write_bytes(content)
                pytest.fail(f"{kept}: {problem}")
        path.unlink()

    def keep(self, keep_figures: Callable[..., None], name: str) -> None:
        """Keep the counts: whatever is neither read nor refused has failed the trial."""
        keep_figures(
            name,
            tried=self.tried,
            accepted=self.accepted,
            refused=self.refused,
            slowest_allowed_s=SLOWEST_S,
        )

    def _outcome(self, path: Path, read: Callable[[Path], None]) -> str:
        """Read a damaged file; return what is wrong with how that went."""
        try:
            read(path)
        except (CorpusError, TaskError) as error:
            self.refused += 1
            told = str(error)
            if not told.startswith(str(path.parent)) or len(told) > LONGEST_MESSAGE:
                return f"is told as {told[:LONGEST_MESSAGE]!r}"
        except Exception as error:
            return f"came out as {error!r}"
        else:
            self.accepted += 1
        return ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what tables and tasks name."""
    folder = tmp_path.resolve() / "corpus"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "sub/c.wav"):
        (folder / name).write_bytes(b"RIFF")
    return folder


@pytest.mark.slow
@pytest.mark.trial
@pytest.mark.timeout(300)
def test_no_damage_to_a_table_or_task_comes_out_as_anything_but_an_error(
    folder: Path, keep_figures: Callable[..., None]
) -> None:
    outcomes = Outcomes(folder)
    originals = {
        "csv": (CSV,),
        "tsv": (CSV.replace(b",", b"\t"),),
        "jsonl": (JSON_LINES,),
        "parquet": parquet_tables(),
    }
    for ending, contents in originals.items():
        outcomes.run(f"m.{ending}", contents, TRIED[ending], check_table)
    (folder / "t.csv").write_bytes(CSV.replace(b"rain, wind", b"big"))
    outcomes.run("m.toml", TASKS, TRIED["toml"], check_task)
    assert outcomes.accepted > 1000
    assert outcomes.refused > 10_000
    outcomes.keep(keep_figures, "mutated-tables")


@pytest.mark.slow
@pytest.mark.trial
@pytest.mark.timeout(300)
def test_no_damage_to_a_datasets_files_comes_out_as_anything_but_an_error(
    folder: Path, keep_figures: Callable[..., None]
) -> None:
    outcomes = Outcomes(folder)
    for ending, (reader, content) in dataset_files().items():
        source = Source(reader=reader, files=(f"m.{ending}",))
        read = partial(check_source, source)
        outcomes.run(f"m.{ending}", content, TRIED_SOURCES[ending], read)
    assert outcomes.refused > 1000
    outcomes.keep(keep_figures, "mutated-dataset-files")


def dataset_files() -> dict[str, tuple[ReaderName, tuple[bytes, ...]]]:
    """Give a file for each reader of datasets."""
    rows = [json.loads(line) for line in JSON_LINES.splitlines()]
    text = b"- audio: a.wav\n  tags: [no, 'x', \"y\\n\"]\n- audio: b.wav\n  tags: |\n    two\n"
    pickled = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01K\x02es."
    return {
        "json": ("records", (json.dumps(rows).encode(),)),
        "jsonl": ("records", (JSON_LINES,)),
        "yaml": ("records", (text,)),
        "csv": ("table", (CSV,)),
        "tar": ("shards", (tar_of(rows),)),
        "parquet": ("arrow", parquet_tables()),
        "pickle": ("pickle", (pickled,)),
    }


def tar_of(rows: list[dict[str, object]]) -> bytes:
    """Write rows as the sidecars of a shard."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, row in enumerate(rows):
            content = json.dumps(row).encode()
            member = tarfile.TarInfo(f"{number}.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.slow
def test_ten_thousand_labels_are_searched_and_voted_on(tmp_path: Path) -> None:
    embedder = load_embedder("logmel")
    rate = embedder.fingerprint.sample_rate
    samples = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)
    clip = Clip(samples=samples, sample_rate=rate, source="", start_s=0.0, content_sha256="q")
    nearest = embedder.embed([clip])[0]
    vectors = np.random.default_rng(1).normal(size=(20_000, len(nearest))).astype(np.float32)
    vectors[6:8] = nearest + 0.001 * vectors[6:8]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = Index.create(tmp_path / "many.index", embedder.fingerprint)
    index.add([row(number, vector) for number, vector in enumerate(vectors)])
    answer = FewShot.open(index).classify(clip, shots=4)
    assert answer.text == "label 3"
    assert len(answer.scores) == 10_000
    assert sum(score.score for score in answer.scores) == pytest.approx(1.0)


def row(number: int, vector: NDArray[np.float32]) -> Row:
    """Make a row whose label it has in common with one other."""
    name = f"{number:05}.wav"
    return Row(
        exemplar=Exemplar(id=name, audio=PurePosixPath(name), labels=(f"label {number // 2}",)),
        root=Path("/sounds"),
        duration_s=1.0,
        file_sha256=f"{number:064x}",
        content_sha256=f"{number:064x}",
        vector=vector,
    )
