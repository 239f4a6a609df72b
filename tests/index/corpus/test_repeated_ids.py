from pathlib import Path

import pytest

from earful.errors import CorpusError
from earful.index.corpus import open_corpus


def test_an_id_that_occurs_twice_among_many_is_found(tmp_path: Path) -> None:
    rows = "".join(f"clip{n}.wav,dog,{n}\n" for n in range(5000))
    table = tmp_path / "many.csv"
    table.write_text(f"audio,label,id\n{rows}")
    assert sum(1 for _ in open_corpus(table)) == 5000
    table.write_text(f"audio,label,id\n{rows}x.wav,dog,77\n")
    with pytest.raises(CorpusError, match=r"many.csv:5002: id '77' already occurs at .*:79"):
        list(open_corpus(table))
