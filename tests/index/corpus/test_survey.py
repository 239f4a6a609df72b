from pathlib import Path

import numpy as np
import pytest
import soundfile

from earful.index.corpus import open_corpus, survey_corpus
from earful.model.audio import AudioLimits


def sound(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * 8000), 0.1), 8000)


def test_a_survey_counts_rows_files_labels_and_seconds(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 4.0)
    sound(tmp_path / "b.wav", 1.0)
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,split,start_s,end_s\n"
        "a.wav,dog,train,0,1.5\na.wav,dog|bark,train,2,\nb.wav,cat,test,,\n"
    )
    found = survey_corpus(open_corpus(tmp_path))
    assert (found.n, found.n_files, found.rejected) == (3, 2, ())
    assert found.total_s == pytest.approx(1.5 + 2.0 + 1.0)
    assert (found.shortest_s, found.longest_s) == pytest.approx((1.0, 2.0))
    assert list(found.labels.items()) == [("dog", 2), ("bark", 1), ("cat", 1)]
    assert found.splits == {"test": 1, "train": 2}


def test_what_a_build_would_reject_is_listed_with_its_row(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 2.0)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    table = tmp_path / "t.csv"
    table.write_text(
        "file,label,start_s,end_s\na.wav,x,0,5\na.wav,x,3,\nmissing.wav,x,,\n"
        "broken.wav,x,,\na.wav,x,,\n"
    )
    found = survey_corpus(open_corpus(table), limits=AudioLimits(max_duration_s=1.0))
    assert [r.where for r in found.rejected] == [f"{table}:{line}" for line in range(2, 7)]
    after, before, missing, broken, long = (r.error for r in found.rejected)
    assert "end_s=5 lies after the end, 2.000 s" in after
    assert "start_s=3 is not before the end" in before
    assert "no such file" in missing
    assert "broken.wav" in broken
    assert "is 2.0 s long; expected at most 1 s" in long
    assert (found.n, found.total_s) == (5, 0.0)


def test_progress_counts_every_row(tmp_path: Path) -> None:
    for n in range(3):
        sound(tmp_path / "dog" / f"{n}.wav", 0.1)
    seen: list[int] = []
    survey_corpus(open_corpus(tmp_path), progress=seen.append)
    assert seen == [1, 2, 3]


def test_several_rows_of_one_segment_count_its_seconds_once(tmp_path: Path) -> None:
    """A recording with five captions has five rows, and is not five times as long."""
    sound(tmp_path / "a.wav", 4.0)
    rows = "".join(f"a.wav,caption {n},{n},,\n" for n in range(5))
    rows += "a.wav,its end,5,3,4\na.wav,its end again,6,3,4\n"
    (tmp_path / "metadata.csv").write_text(f"file_name,caption,id,start_s,end_s\n{rows}")
    found = survey_corpus(open_corpus(tmp_path))
    assert (found.n, found.n_files) == (7, 1)
    assert found.total_s == pytest.approx(4.0 + 1.0)
