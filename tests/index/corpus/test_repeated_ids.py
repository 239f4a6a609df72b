from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import open_corpus


@pytest.mark.slow
def test_an_id_that_occurs_twice_among_many_is_found(tmp_path: Path) -> None:
    rows = "".join(f"clip{n}.wav,dog,{n}\n" for n in range(5000))
    table = tmp_path / "many.csv"
    table.write_text(f"audio,label,id\n{rows}")
    assert sum(1 for _ in open_corpus(table)) == 5000
    table.write_text(f"audio,label,id\n{rows}x.wav,dog,77\n")
    with pytest.raises(CorpusError, match=r"many.csv:5002: id '77' already occurs at .*:79"):
        list(open_corpus(table))


def test_further_captions_of_a_recording_get_ids_that_stay(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,caption\na.wav,one\na.wav,two\nb.wav,one\na.wav,three\n")
    corpus = open_corpus(table)
    for _ in range(2):
        found = [(row.exemplar.id, row.exemplar.answer) for row in corpus]
        assert found == [
            ("a.wav", "one"),
            ("a.wav#2", "two"),
            ("b.wav", "one"),
            ("a.wav#3", "three"),
        ]
        assert corpus.n_further == 2
    table.write_text("file,start,question,answer\na.wav,1,Q?,yes\na.wav,1,R?,yes\n")
    assert [row.exemplar.id for row in open_corpus(table)] == ["a.wav#1-", "a.wav#1-#2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,caption\na.wav,one\na.wav,one\n", "with the same texts"),
        ("id,file,caption\nx,a.wav,one\nx,a.wav,two\n", "id 'x' already occurs"),
        ("file,label\na.wav,dog\na.wav,cat\n", "one row with the labels"),
        ("file,label,caption\na.wav,dog,one\na.wav,cat,one\n", "one row with the labels"),
    ],
)
def test_rows_that_say_the_same_of_a_stretch_are_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(CorpusError, match=says):
        list(open_corpus(tmp_path / "t.csv"))
