"""Tables and task files that somebody broke, by accident or on purpose, and what to expect."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LONG = 300_000
PATH_LIMIT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Nasty:
    """One file and its verdict.

    Attributes:
        title: What is wrong, for the test's name.
        file: File name.
        content: Its bytes.
        rows: ``(id, labels)`` of each row when it is accepted.
        at: Where it is refused, to stand right behind the path, such as ``":2: "``.
        says: Part of the refusal; empty when it is accepted.
    """

    title: str
    file: str
    content: bytes
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()
    at: str = ""
    says: str = ""


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    """Write a Parquet file of columns."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def json_lines(*rows: dict[str, Any]) -> bytes:
    """Write rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FINE = (("a.wav", ("dog",)), ("b.wav", ("cat", "purring")))


def nasty_tables() -> Iterator[Nasty]:
    """Give tables of every format, each with its verdict."""
    yield from _delimited("csv", ",")
    yield from _delimited("tsv", "\t")
    yield from _json_lines()
    yield from _parquet()
    yield from _fields("csv", _one_csv_row)
    yield from _fields("jsonl", json_lines)
    yield from _fields("parquet", _one_parquet_row)


def _one_csv_row(row: dict[str, str]) -> bytes:
    cells = ['"' + text.replace('"', '""') + '"' for text in row.values()]
    return (",".join(row) + "\n" + ",".join(cells) + "\n").encode()


def _one_parquet_row(row: dict[str, str]) -> bytes:
    return parquet({name: [text] for name, text in row.items()})


def _delimited(ending: str, sign: str) -> Iterator[Nasty]:
    def table(
        title: str, text: str | bytes, *, rows: Any = (), at: str = "", says: str = ""
    ) -> Nasty:
        content = text.replace(",", sign).encode() if isinstance(text, str) else text
        return Nasty(title=title, file=f"t.{ending}", content=content, rows=rows, at=at, says=says)

    fine = "audio,labels\na.wav,dog\nb.wav,cat|purring\n"
    yield table("as it should be", fine, rows=FINE)
    yield table("a byte-order mark", "\ufeff" + fine, rows=FINE)
    yield table("Windows line ends", fine.replace("\n", "\r\n"), rows=FINE)
    yield table("no end of line", fine.rstrip(), rows=FINE)
    yield table("quotes left open", fine + '"c.wav,dog\n' * 3, at=":4: ", says="expected after")
    yield table("a quote left open", fine + '"c.wav,dog\nd.wav,cat\n', at=":4: ", says="left open?")
    yield table(
        "cut in a row", fine[:-14], at=":3: ", says="has 1 fields; expected 2 (audio, labels)"
    )
    # The last cell cannot tell how long it was.
    yield table("cut in a label", fine[:-10], rows=(FINE[0], ("b.wav", ("ca",))))
    yield table("nothing", "", at=": ", says="is empty; expected a header row")
    yield table("blank lines", "\n\n\n", at=": ", says="is empty; expected a header row")
    yield table("no rows", "audio,labels\n", at=": ", says="has no rows")
    yield table("two marks", "\ufeff\ufeff" + fine, at=":1: ", says="byte-order mark")
    yield table("tables joined", fine + "\ufeff" + fine, at=":4: ", says="joined end to end")
    yield table("UTF-16", fine.encode("utf-16"), at=":1: ", says="is not UTF-8")
    yield table("UTF-16 without its mark", fine.encode("utf-16-le"), at=":1: ", says="NUL")
    yield table("UTF-32", fine.encode("utf-32"), at=":1: ", says="is not UTF-8")
    latin = fine.replace("purring", "sch\u00f6n").replace(",", sign).encode("latin-1")
    yield table("Latin-1", latin, at=":3: ", says="byte 0xf6 is not UTF-8")
    encoded = fine.replace(",", sign).encode()
    yield table("half a character", encoded + b"\xf0\x9f\x98", at=":4: ", says="is not UTF-8")
    yield table("a surrogate", encoded + b"\xed\xa0\x80,x", at=":4: ", says="is not UTF-8")
    yield table("NUL", fine + "c\0.wav,dog\n", at=":4: ", says="NUL")
    yield table("CR only", fine.replace("\n", "\r"), at=":1: ", says="new-line character")
    yield table("a line without end", "audio,labels\n" + "x" * (1 << 21), at=":2: ", says="longer")
    yield table("a long cell", f"audio,labels,x\na.wav,dog,{'y' * LONG}", at=":2: ", says="limit")
    wide = ",".join(f"c{number}" for number in range(100_000))
    yield table("100,000 columns", f"audio,{wide}\n", at=":1: ", says="more than 1000 columns")
    yield table(
        "100,000 times a column", "audio," * 100_000, at=":1: ", says="'audio' occurs twice"
    )
    name = "n" * 5000
    yield table(
        "a long name", f"audio,{name}\na.wav,x\n", at=":1: ", says="name of 5000 characters"
    )
    numbers = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
    yield table("a picture", numbers, at=":1: ", says="is not UTF-8")


def _json_lines() -> Iterator[Nasty]:
    def table(
        title: str, text: str | bytes, *, rows: Any = (), at: str = "", says: str = ""
    ) -> Nasty:
        content = text.encode() if isinstance(text, str) else text
        return Nasty(title=title, file="t.jsonl", content=content, rows=rows, at=at, says=says)

    fine = '{"audio": "a.wav", "labels": "dog"}\n{"audio": "b.wav", "labels": ["cat", "purring"]}\n'
    yield table("as it should be", fine, rows=FINE)
    yield table("a byte-order mark", "\ufeff" + fine, rows=FINE)
    yield table("Windows line ends", fine.replace("\n", "\r\n"), rows=FINE)
    yield table("nothing", "", at=": ", says="has no rows")
    yield table("cut in a row", fine[:-9], at=":2: ", says="is not JSON")
    yield table("CR only", fine.replace("\n", "\r"), at=":1: ", says="is not JSON (Extra data")
    yield table("a list in a line", '["a.wav"]', at=":1: ", says="is a list")
    yield table("one list", json.dumps([{"audio": "a.wav"}]), rows=(("a.wav", ()),))
    yield table(
        "a list of lists", '[{"audio": "a"}, ["b"]]', at=":item 2: ", says="expected an object"
    )
    yield table("a list cut", '[{"audio": "a"}, {"au', at=":item 2: ", says="is not JSON")
    yield table("no list", "[]", says="has no rows")
    twice = '[{"audio": "a", "audio": "b"}]'
    yield table("a key twice in a list", twice, at=":item 1: ", says="'audio' occurs twice")
    deep = '[{"audio": ' + "[" * 200_000
    yield table("a deep list", deep, at=":item 1: ", says="nested too deeply")
    yield table("a list with more after it", '[{"audio": "a"}] {}', at=":item 2: ", says="nothing")
    yield table(
        "UTF-8 broken in a list", b'[{"audio": "\xff"}]', at=":item 1: ", says="is not JSON"
    )
    endless = '[{"audio": "' + "x" * (1 << 22)
    yield table("an item without end", endless, at=":item 1: ", says="longer than 1048576")
    wide = json.dumps([{"audio": "a"} | {f"c{number}": 0 for number in range(5_000)}])
    yield table("5,000 columns in a list", wide, at=":item 1: ", says="more than 1000 columns")
    yield table("a document", json.dumps({"audio": "a"}, indent=1), at=":1: ", says="is not JSON")
    yield table("tables joined", fine + "\ufeff" + fine, at=":3: ", says="byte-order mark")
    yield table("UTF-16", fine.encode("utf-16"), at=":1: ", says="is not UTF-8")
    yield table(
        "a key twice", '{"audio": "a", "audio": "b"}', at=":1: ", says="'audio' occurs twice"
    )
    yield table("deep lists", '{"audio": ' + "[" * 200_000, at=":1: ", says="nested too deeply")
    yield table("deep objects", '{"audio": ' * 50_000, at=":1: ", says="nested too deeply")
    yield table("NaN", '{"audio": "a.wav", "start_s": NaN, "x": NaN}', rows=(("a.wav", ()),))
    infinite = '{"audio": "a.wav", "start_s": Infinity}'
    yield table("Infinity", infinite, at=":1: ", says="start_s is inf")
    yield table("Infinity apart", '{"audio": "a.wav", "x": -Infinity}', rows=(("a.wav", ()),))
    yield table("5,000 digits", f'{{"audio": "a.wav", "n": {"9" * 5000}}}', at=":1: ", says="limit")
    yield table("1e400", '{"audio": "a.wav", "start_s": 1e400}', at=":1: ", says="start_s is inf")
    yield table("a huge start", f'{{"audio": "a", "start_s": 1{"0" * 400}}}', at=":1: ", says="inf")
    wide = json.dumps({"audio": "a.wav"} | {f"c{number}": 0 for number in range(50_000)})
    yield table("50,000 columns", wide, at=":1: ", says="more than 1000 columns")
    yield table("a line without end", '{"audio": "' + "x" * (1 << 20), at=":1: ", says="longer")
    lone = '{"audio": "a.wav", "labels": "dog\\ud800"}'
    yield table("half a character", lone, at=":1: ", says="holds the character U+D800")
    lone = '{"audio": "a\\ud800.wav"}'
    yield table("half a character in a path", lone, at=":1: ", says="cannot be the path of a file")
    yield table("NUL in a path", '{"audio": "a\\u0000"}', at=":1: ", says="cannot be the path")
    nested = '{"audio": "a.wav", "labels": [["dog"]]}'
    yield table("a list in a list", nested, at=":1: ", says="labels is a list; expected text")
    yield table("an object", '{"audio": {"path": "a.wav"}}', at=":1: ", says="audio holds objects")
    many = json.dumps({"audio": "a.wav", "labels": [f"l{number}" for number in range(5000)]})
    yield table("5,000 labels", many, at=":1: ", says="has 5000 labels; expected at most 1000")


def _parquet() -> Iterator[Nasty]:
    def table(
        title: str, content: bytes, *, rows: Any = (), at: str = ": ", says: str = ""
    ) -> Nasty:
        return Nasty(title=title, file="t.parquet", content=content, rows=rows, at=at, says=says)

    columns = {"audio": ["a.wav", "b.wav"], "labels": [["dog"], ["cat", "purring"]]}
    fine = parquet(columns)
    broken = "is not a readable Parquet file"
    yield table("as it should be", fine, rows=FINE)
    yield table("nothing", b"", says=broken)
    yield table("not Parquet", b"PAR1" + bytes(100) + b"PAR1", says=broken)
    yield table("cut", fine[:-20], says=broken)
    yield table("without its middle", fine[:40] + fine[80:], says=broken)
    names = pa.table([pa.array(["a.wav"]), pa.array(["b.wav"])], names=["audio", "audio"])
    yield table("a column twice", parquet_of(names), says="'audio' occurs twice")
    bad = pa.array([b"caf\xe9.wav"]).view(pa.string())
    yield table("not UTF-8", parquet({"audio": bad}), says=broken)
    late = pa.array([2**52], pa.int64()).view(pa.timestamp("s"))
    yield table("a late day", parquet({"audio": ["a.wav"], "day": late}), says=broken)
    fine_day = {"audio": ["a.wav"], "day": [datetime(2020, 2, 29)]}
    yield table("a day", parquet(fine_day), rows=(("a.wav", ()),))
    inside = pa.array([{"path": "a.wav", "bytes": b"RIFF"}])
    yield table(
        "an object", parquet({"audio": inside}), says="expected text, numbers, or lists of text"
    )
    wide = {f"c{number}": [0] for number in range(3000)}
    yield table("3,000 columns", parquet(wide), says="more than 1000 columns")
    bomb = parquet({"audio": ["a.wav"], "labels": ["x" * 5_000_000]}, compression="zstd")
    assert len(bomb) < 5_000
    yield table("5 MB in 5 kB", bomb, at=":row 1: ", says="holds 5000000 bytes; expected at most")
    # 6 GB as rows, 20 kB as a file, because a dictionary holds each text once.
    rows = 3000
    names_ = [f"{number}.wav" for number in range(rows)]
    same = pa.DictionaryArray.from_arrays(pa.array([0] * rows), pa.array(["x" * 2_000_000]))
    bomb = parquet({"audio": names_, "labels": same}, compression="zstd")
    assert len(bomb) < 50_000
    yield table("6 GB in 50 kB", bomb, at=":row 1: ", says="holds 2000000 bytes; expected at most")
    many = parquet({"audio": ["a.wav"], "labels": [["dog"] * 1_000_000]}, compression="zstd")
    yield table("a million labels", many, at=":row 1: ", says="bytes; expected at most")


def parquet_of(table: pa.Table) -> bytes:
    """Write a Parquet file of a table that a mapping cannot spell."""
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _fields(ending: str, write: Callable[[dict[str, str]], bytes]) -> Iterator[Nasty]:
    """Give values that are wrong in any format."""
    at = {"csv": ":2: ", "jsonl": ":1: ", "parquet": ":row 1: "}[ending]

    def row(title: str, says: str, rows: Any = (), **fields: str) -> Nasty:
        return Nasty(
            title=title,
            file=f"t.{ending}",
            content=write({"audio": "a.wav", **fields}),
            rows=rows,
            at=at,
            says=says,
        )

    for path in ("../a.wav", "/etc/passwd", "x/../../a.wav", "./../a.wav"):
        yield row(f"the path {path}", "lies outside", audio=path)
    for path in ("http://x/a.wav", "file:/etc/passwd", "file:///etc/passwd", "DATA:x"):
        yield row(f"the address {path}", "is a URL; expected a file, or an object", audio=path)
    yield row("the address s3://b/a", "is no name of a bucket", audio="s3://b/a")
    yield row("no path", "names no audio file", audio=" ")
    yield row("a long path", "expected at most 4096", audio="x/" * PATH_LIMIT)
    plain = {"title": "a name that looks like a path elsewhere", "says": ""}
    yield row(**plain, audio="C:\\a.wav", rows=(("C:\\a.wav", ()),))
    yield row("a label like no", "", labels="no", rows=(("a.wav", ("no",)),))
    for label in ("a\x1b[31mb", "a\x9bb", "a\u202eb", "a\nb", "a\tb", "a\ufeffb", "a\x7fb"):
        yield row(f"the label {label!r}", "expected text without control characters", labels=label)
    yield row(
        "a long label",
        f"has {LONG // 4} characters; expected at most 1000",
        labels="x" * (LONG // 4),
    )
    yield row("a label twice", "name one label twice", labels="dog|dog")
    yield row("an empty label", "hold an empty label", labels="dog||cat")
    yield row("one label in two forms", "name one label twice", labels="caf\u00e9|cafe\u0301")
    yield row("an odd id", "holds the character U+0007", id="a\x07b")
    yield row("a long id", "characters; expected at most 4096", id="x" * 5000)
    yield row("a long group", "characters; expected at most 4096", group="x" * 5000)
    yield row("an odd question", "holds the character U+001B", question="a\x1b]0;x\x07?")
    yield row("a question of two lines", "", question="Is it\n\training?", rows=(("a.wav", ()),))
    yield row(
        "a long answer", "has 120000 characters; expected at most 100000", answer="x" * 120_000
    )
    for number in ("1_0", "nan", "inf", "1e", "0x10", "\uff11", "1,5", "--1"):
        yield row(f"the start {number}", "expected seconds as a number", start_s=number)
    yield row("a start beyond all numbers", "start_s=inf: expected 0 or more", start_s="1e999")
    yield row("a start before the beginning", "start_s=-1.0: expected 0 or more", start_s="-1")
    yield row("an end before its start", "is not after start_s=2", start_s="2", end_s="1")
    yield row("a start in tenths", "", start_s="+.5e0", rows=(("a.wav#0.5-", ()),))


def nasty_tasks() -> Iterator[Nasty]:
    """Give task files, each with the first mistake that has to be found; all are refused."""

    def task(title: str, text: str | bytes, says: str, at: str = ":1: ") -> Nasty:
        content = text.encode() if isinstance(text, str) else text
        return Nasty(title=title, file="t.toml", content=content, at=at, says=says)

    def example(title: str, path: str, says: str) -> Nasty:
        return task(title, f"[[examples]]\naudio = {json.dumps(path)}\nlabel = 'x'", says, ":2: ")

    fine = 'labels = ["dog", "cat"]\n'
    for path in ("/etc/passwd", "../outside.wav", "x/../../outside.wav", "link.wav", "away/a.wav"):
        yield example(f"the example {path}", path, "the task file's folder; move it there, or pass")
    yield example("a long path", "x" * 5000, "does not exist; expected an audio file")
    yield example("NUL in a path", "a\0.wav", "U+0000")
    for table in ("/etc", "../outside.csv", "away", "link.csv"):
        says = "the task file's folder; move it there, or pass --allow-outside"
        yield task(f"the table {table}", f'examples = "{table}"', says)
    yield task("a pipe for a table", 'examples = "pipe.csv"', "is a named pipe")
    yield task("a table that climbs", 'examples = "climbs.csv"', "lies outside")
    yield task("a table with a long name", f'examples = "{"x" * 5000}.csv"', "does not exist")
    yield task("UTF-16", fine.encode("utf-16"), "is not UTF-8 text")
    yield task("NUL", fine + "\0", "is not TOML", ":2: ")
    yield task("cut", fine[:-4], "is not TOML")
    yield task("a key twice", fine + fine, "is not TOML", ":2: ")
    yield task("CR only", fine.replace("\n", "\r") * 2, "is not TOML")
    yield task("5,000 digits", "a = " + "9" * 5000, "is not TOML", ": ")
    yield task("4,000 hexadecimal digits", f"[shots]\nk = 0x{'f' * 4000}", "from 1 to 1000", ":2: ")
    yield task("a huge start", f"[answer]\nabstain_below = 0x{'f' * 4000}", "from 0 to 1", ":2: ")
    yield task("NaN", "[answer]\nabstain_below = nan", "from 0 to 1", ":2: ")
    yield task("deep lists", "a = " + "[" * 100_000, "nested too deeply", ": ")
    yield task("deep tables", "a = " + "{a=" * 100_000, "nested too deeply", ": ")
    yield task("a deep key", "a" + ".a" * 400_000 + " = 1", "a key has more than 20 parts")
    yield task("a deep quoted key", '"a"' + '. "."' * 100_000 + " = 1", "more than 20 parts")
    yield task("a deep table", "# '''\n[a" + ".a" * 400_000 + "]", "more than 20 parts", ":2: ")
    yield task("1 MB", "#" * 1_000_001, "a task file has at most 1000000", ": ")
    yield task("9,000 unknown keys", "".join(f"k{n} = 1\n" for n in range(9_000)), "unknown key")
    yield task("a long key", "k" * 500_000 + " = 1", "unknown key 'kkk")
    yield task("a long label", f'labels = ["dog", "{"x" * LONG}"]', "expected at most 1000")
    yield task("a long question", f'question = "{"x" * LONG}"', "expected at most 100000")
    yield task("a label that steers", 'labels = ["dog", "a\\u001b[31m"]', "U+001B")
    yield task("a label that turns text", 'labels = ["dog", "a\\u202eb"]', "U+202E")
    yield task("a question that steers", 'question = "a\\u0007"', "U+0007")
    labels = json.dumps([f"label {number}" for number in range(10_000)])
    wrong = "[[examples]]\naudio='a.wav'\nlabel='labl'\n" * 10_000
    yield task("10,000 unknown labels", f"labels = {labels}\n{wrong}", "unknown label", ":4: ")
