"""Every nasty table has one verdict: these rows, or one line that says where and what."""

import csv
import os
import time
from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import Corpus, Exemplar, open_corpus
from tests.support.nasty_tables import Nasty, nasty_tables, parquet

LONGEST_MESSAGE = 2000


def rows(corpus: Corpus) -> list[Exemplar]:
    return [row.exemplar for row in corpus]


def refusal(source: Path, **options: bool) -> str:
    """Read a corpus that has to be refused, and return the message."""
    with pytest.raises(CorpusError) as caught:
        rows(open_corpus(source, **options))  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    "nasty", [pytest.param(one, id=f"{one.file}-{one.title}") for one in nasty_tables()]
)
def test_a_nasty_table_has_its_verdict(nasty: Nasty, tmp_path: Path) -> None:
    path = tmp_path / "corpus" / nasty.file
    path.parent.mkdir()
    path.write_bytes(nasty.content)
    began = time.monotonic()
    if not nasty.says:
        assert tuple((e.id, e.labels) for e in rows(open_corpus(path))) == nasty.rows
    else:
        message = refusal(path)
        assert message.startswith(f"{path}{nasty.at}")
        assert nasty.says in message
        assert message.count(str(path)) <= 2 - nasty.at.startswith(":row")
        assert len(message) < LONGEST_MESSAGE
        assert "\n" not in message
    assert time.monotonic() - began < 5
    assert os.listdir(path.parent) == [nasty.file]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        os.mkfifo(tmp_path / name)
        assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: is a named pipe")
    os.mkfifo(tmp_path / "metadata.csv")
    assert "metadata.csv: is a named pipe" in refusal(tmp_path)


def test_what_leads_in_a_circle_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "t.csv").symlink_to("t.csv")
    for name in ("a", "t.csv"):
        assert "there is no such file or folder" in refusal(tmp_path / name)
    (tmp_path / "fine.csv").write_text("audio,label\na/x.wav,dog\n")
    # Left to the decoder, which rejects the row alone.
    assert [str(e.audio) for e in rows(open_corpus(tmp_path / "fine.csv"))] == ["a/x.wav"]
    (tmp_path / "metadata.csv").symlink_to("metadata.csv")
    assert "metadata.csv: is a link that leads back to itself" in refusal(tmp_path)


def test_a_path_that_no_file_can_have_is_no_corpus(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b", "\udcff"):
        assert "there is no such file or folder" in refusal(tmp_path / name)


def sounds(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_no_linked_folder_is_passed_over_in_silence(tmp_path: Path) -> None:
    corpus = sounds(tmp_path / "corpus", "dog/1.wav")
    sounds(tmp_path / "elsewhere", "2.wav")
    (corpus / "cat").symlink_to("../elsewhere")
    at = f"{corpus / 'cat'}: is a link to a folder"
    message = refusal(corpus)
    assert message.startswith(at)
    assert "--allow-outside" in message
    found = rows(open_corpus(corpus, allow_outside=True))
    assert [(e.id, e.labels) for e in found] == [
        ("cat/2.wav", ("cat",)),
        ("dog/1.wav", ("dog",)),
    ]


@pytest.mark.parametrize("target", ["..", ".", "../rat", "../../corpus"])
def test_no_folder_is_read_twice(tmp_path: Path, target: str) -> None:
    corpus = sounds(tmp_path / "corpus", "dog/1.wav", "rat/2.wav")
    (corpus / "dog" / "more").symlink_to(target)
    assert "was already read under another name" in refusal(corpus, allow_outside=True)


def test_a_folder_that_cannot_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = sounds(tmp_path, "cat/1.wav", "dog/1.wav")
    scandir = os.scandir

    def denied(path: str) -> object:
        if path.endswith("dog"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert refusal(corpus) == f"{corpus / 'dog'}: cannot be read (Permission denied)"


def test_a_folder_with_an_odd_name_is_no_label(tmp_path: Path) -> None:
    sounds(tmp_path, "do\x1bg/1.wav")
    assert "label 'do\\x1bg' holds the character U+001B" in refusal(tmp_path)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    names = ["dog/a\nb.wav", "dog/\u202ec.wav", "dog/cafe\u0301\x07.wav"]
    sounds(tmp_path, *names)
    assert sorted(str(e.audio) for e in rows(open_corpus(tmp_path))) == sorted(names)


def test_tables_are_read_side_by_side_without_a_shared_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("audio\n1.wav\n2.wav\n")
    first, second = iter(open_corpus(tmp_path / "a.csv")), iter(open_corpus(tmp_path / "b.csv"))
    next(first)
    next(second)
    assert csv.field_size_limit() == before
    del first, second
    assert csv.field_size_limit() == before


def test_a_footer_that_declares_too_much_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t.parquet"
    table.write_bytes(parquet({"audio": ["a.wav", "b.wav"]}))
    monkeypatch.setattr("earful.index.corpus.tables.parquet._MAX_GROUP_BYTES", 10)
    assert refusal(table).startswith(f"{table}: row group 1 unpacks to ")


@pytest.mark.slow
def test_rows_that_are_large_together_are_made_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t.parquet"
    names = [f"{number}.wav" for number in range(3000)]
    table.write_bytes(parquet({"audio": names, "labels": [["dog"], None, []] * 1000}))
    together = rows(open_corpus(table))
    monkeypatch.setattr("earful.index.corpus.tables.parquet._MAX_BYTES_AT_ONCE", 100)
    assert rows(open_corpus(table)) == together
    assert [e.id for e in together] == names
    assert [e.labels for e in together[:3]] == [("dog",), (), ()]
