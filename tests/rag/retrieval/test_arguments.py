"""What a program may give as a recording, as labels and as options, and what it is told."""

import io
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earful import AudioLimits, Clip, Exemplar, FewShot, Index, Label, SearchFilter, Task
from earful.errors import AudioError
from earful.index.builder import build_index
from earful.model import load_embedder
from earful.rag.retrieval import to_labels, to_recording, to_recordings
from tests.support.tones import write_tone

RATE = 16000
NAN = float("nan")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arguments")
    for seed in range(2):
        write_tone(folder / f"corpus/0/{seed}.wav", 120 + 5 * seed, seed)
        write_tone(folder / f"corpus/1/{seed}.wav", 3000 + 50 * seed, seed + 10)
    write_tone(folder / "q.wav", 130, 99)
    build_index(folder / "corpus", folder / "s.index", embedder=load_embedder("logmel"))
    return folder


@pytest.fixture(scope="module")
def few(folder: Path) -> FewShot:
    return FewShot.open(folder / "s.index")


def test_a_recording_may_be_given_in_many_forms(few: FewShot, folder: Path) -> None:
    path = folder / "q.wav"
    samples, rate = soundfile.read(path, dtype="float32")
    wanted = few.classify(path)
    assert wanted.text == "0"
    stereo = np.stack([samples, samples], axis=1)
    with path.open("rb") as opened:
        given: list[Any] = [
            str(path),
            path.read_bytes(),
            bytearray(path.read_bytes()),
            memoryview(path.read_bytes()),
            io.BytesIO(path.read_bytes()),
            opened,
            Clip(samples=samples, sample_rate=rate),
            (samples, rate),
            (rate, samples),
            (samples.astype(np.float64), np.int64(rate)),
            ((samples * 32768).astype(np.int16), rate),
            (stereo, rate),
            (stereo.T, float(rate)),
            (torch.from_numpy(samples), rate),
            (torch.from_numpy(stereo.T.copy()).requires_grad_(), rate),
            (samples.tolist(), rate),
            {"array": samples, "sampling_rate": rate, "path": None},
            few.retriever.task(None, shots=None, strategy=None) and path,
        ]
        answers = [few.classify(audio) for audio in given]
    for answer in answers:
        assert answer.text == "0"
        assert answer.confidence == pytest.approx(wanted.confidence, abs=1e-4)
        assert answer.prompt_digest == wanted.prompt_digest
    for audio in (path.read_bytes(), (samples, rate)):
        assert [hit.exemplar.id for hit in few.search(audio, k=4)] == [
            hit.exemplar.id for hit in few.search(path, k=4)
        ]
    both = list(few.classify_batch([path, path.read_bytes(), b"RIFF nothing"]))
    assert [type(one).__name__ for one in both] == ["Answer", "Answer", "AudioError"]
    assert "12 bytes of audio" in str(both[2])
    with pytest.raises(AudioError, match="bytes of audio"):
        few.classify(b"nothing")


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (np.zeros(9), TypeError, r"shape \(9,\).*\(samples, sample_rate\)"),
        (torch.zeros(2, 9), TypeError, r"shape .*\(samples, sample_rate\)"),
        ([0.0, 0.1], TypeError, r"\(samples, rate\)"),
        ([Path("a.wav"), Path("b.wav")], TypeError, "list of 2: expected one recording"),
        (("a.wav", "b.wav"), TypeError, "tuple of 2: expected one.*a list"),
        ({"a.wav"}, TypeError, "set of 1: expected one.*a list"),
        (None, TypeError, "None: expected a path"),
        (7, TypeError, r"7 \(int\): expected a path"),
        (NAN, TypeError, "nan.*expected a path"),
        (True, TypeError, "True.*expected a path"),
        ([], TypeError, "expected a path"),
        ({}, TypeError, "no keys: expected 'array'"),
        ({"path": "a.wav"}, TypeError, "path: expected 'array'"),
        (io.StringIO("x"), TypeError, "open for text.*'rb'"),
        (io.BytesIO(), ValueError, "nothing left to read"),
        (b"", ValueError, "bytes are empty"),
        ("", ValueError, "path '' is empty"),
        ("  ", ValueError, "path '  ' is empty"),
        ((np.zeros(9, np.float32), 0), ValueError, "in Hz of 1000 to 768000, got 0"),
        ((np.zeros(9, np.float32), NAN), ValueError, "in Hz.*got nan"),
        ((np.zeros(9, np.float32), float("inf")), ValueError, "in Hz.*got inf"),
        # Kilohertz would be resampled to a thousand times the samples.
        ((np.zeros(9, np.float32), 44.1), ValueError, "got 44.1; a rate in kHz .* by 1000"),
        ((np.zeros(9, np.float32), 96), ValueError, "got 96; a rate in kHz .* by 1000"),
        (({"array": np.zeros(9), "sampling_rate": 48.0}), ValueError, "got 48.0; .*kHz"),
        (Clip(samples=np.zeros(9, np.float32), sample_rate=96), ValueError, "got 96; .*kHz"),
        ((np.zeros(9, np.float32), 999), ValueError, "got 999; resample"),
        ((np.zeros(9, np.float32), 2_000_000), ValueError, "got 2000000; resample"),
        ((np.zeros(9, np.float32), 25_641.0256), ValueError, "whole rate.*got 25641.0256"),
        ((np.zeros(9, np.float32), "16000"), TypeError, "tuple of 2"),
        ((np.zeros(9, np.float32), None), TypeError, "tuple of 2"),
        ((np.zeros((2, 3, 4)), RATE), ValueError, r"shape \(2, 3, 4\)"),
        ((np.zeros((100, 100)), RATE), ValueError, r"shape \(100, 100\)"),
        ((np.zeros(0), RATE), ValueError, r"shape \(0,\)"),
        ((np.full(9, np.nan), RATE), ValueError, "NaN"),
        ((np.zeros(9, complex), RATE), TypeError, "complex128"),
        ((np.array(["a"]), RATE), TypeError, "dtype <U1"),
        ((np.zeros(9, np.uint8), RATE), TypeError, "uint8"),
        ((np.zeros(9, bool), RATE), TypeError, "dtype bool"),
    ],
)
def test_what_is_no_recording_is_told(
    few: FewShot, given: Any, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        to_recording(given)
    if not isinstance(given, list) or given == [0.0, 0.1]:
        with pytest.raises(kind, match=told):
            few.classify(given)
    with pytest.raises(kind, match=f"recording 2: .*{told}"):
        few.classify_batch(["a.wav", given])


@pytest.mark.parametrize(
    "given", ["a.wav", b"RIFF", Path("a.wav"), np.zeros(9), None, 3, {"array": 1}, io.BytesIO(b"a")]
)
def test_several_recordings_are_a_list(few: FewShot, given: Any) -> None:
    with pytest.raises(TypeError, match="expected a list of recordings"):
        few.classify_batch(given)
    assert to_recordings(("a.wav", Path("b.wav"))) == ["a.wav", Path("b.wav")]


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ("01", TypeError, r"labels='01': expected a list of texts, such as \['01'\]"),
        ("siren,dog", TypeError, r"such as \['siren', 'dog'\]"),
        (b"01", TypeError, "expected a list of texts"),
        ([0, 1], TypeError, "labels hold 0 .*such as '0'"),
        (np.array([0, 1]), TypeError, "labels hold .*such as '0'"),
        ([True], TypeError, "labels hold True"),
        (["0", None], TypeError, "labels hold None"),
        (["0", NAN], TypeError, "labels hold nan"),
        ([["0"], ["1"]], TypeError, "labels hold"),
        (5, TypeError, "labels=5"),
        ([], ValueError, "labels are empty"),
        ((), ValueError, "labels are empty"),
    ],
)
def test_what_are_no_labels_is_told(
    few: FewShot, folder: Path, given: Any, kind: type[Exception], told: str
) -> None:
    for ask in (
        few.classify,
        few.request,
        lambda audio, labels: few.classify_batch([audio], labels=labels),
    ):
        with pytest.raises(kind, match=told):
            ask(folder / "q.wav", labels=given)


def test_labels_may_be_any_collection_of_texts(few: FewShot, folder: Path) -> None:
    for labels in (["1", "0"], ("1", "0"), np.array(["1", "0"]), {"1": 1, "0": 2}, iter("10")):
        assert few.classify(folder / "q.wav", labels=labels).text == "0"  # type: ignore[arg-type]
    assert to_labels({"b", "a"}) == ("a", "b")
    assert {type(label) for label in to_labels(np.array(["a"])) or ()} == {str}


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"shots": "3"}, TypeError, "shots='3': expected a whole number"),
        ({"shots": 2.0}, TypeError, "shots=2.0"),
        ({"shots": True}, TypeError, "shots=True"),
        ({"shots": -1}, ValueError, "shots=-1: expected 0 or more"),
        ({"seed": None}, TypeError, "seed=None"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"start_s": NAN}, ValueError, "start_s=nan"),
        ({"start_s": "1"}, TypeError, "start_s='1': expected seconds"),
        ({"start_s": None}, TypeError, "start_s=None"),
        ({"start_s": -1}, ValueError, "start_s=-1"),
        ({"start_s": 2, "end_s": 1}, ValueError, "end_s=1: expected more than start_s=2"),
        ({"end_s": float("inf")}, ValueError, "end_s=inf"),
        ({"group": 3}, TypeError, "group: expected text"),
        ({"group": None}, TypeError, "group: expected text"),
        ({"strategy": 3}, TypeError, "strategy: expected text"),
        (
            {"shot_mode": "loud"},
            ValueError,
            "shot_mode='loud': expected 'interleaved' or 'montage' or 'text'",
        ),
        ({"arm": "votes"}, ValueError, "arm='votes'"),
        ({"always_answer": "no"}, TypeError, "always_answer='no': expected True or False"),
        ({"nonsense": 1}, TypeError, "unexpected nonsense"),
        ({"task": 3}, TypeError, "task=3: expected a Task"),
    ],
)
def test_options_are_checked(
    few: FewShot, folder: Path, options: dict[str, Any], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        few.classify(folder / "q.wav", **options)


def test_numbers_of_numpy_are_numbers(few: FewShot, folder: Path) -> None:
    options: dict[str, Any] = {"shots": np.int64(2), "end_s": np.float32(0.5)}
    answer = few.classify(folder / "q.wav", **options)
    assert len(answer.evidence) == 2


@pytest.mark.parametrize(
    ("ask", "kind", "told"),
    [
        (lambda few: few.search(), ValueError, "either audio or text"),
        (lambda few: few.search(text="   "), ValueError, "sentence to search with is empty"),
        (lambda few: few.search(text=3), TypeError, "text: expected text"),
        (lambda few: few.search(text=b"a"), TypeError, "text: expected text"),
        (lambda few: few.search("q.wav", k="3"), TypeError, "k='3'"),
        (lambda few: few.search("q.wav", k=0), ValueError, "k=0: expected 1"),
        (lambda few: few.search("q.wav", filter="a = 1"), TypeError, "expected a SearchFilter"),
        (lambda few: few.search("q.wav", backend="fast"), Exception, "unknown backend"),
        (lambda few: few.search(np.zeros(9)), TypeError, "sample_rate"),
        (lambda _: SearchFilter(labels=[1]), TypeError, "labels holds 1"),  # type: ignore[arg-type]
        (lambda _: SearchFilter(where=3), TypeError, "where=3"),  # type: ignore[arg-type]
        (lambda few: few.index.search(None), Exception, "query"),
        (lambda few: few.index.search(np.full(few.index.fingerprint.dim, NAN)), ValueError, "unit"),
        (lambda few: few.index.search(np.zeros(3)), ValueError, "expected shape"),
        (lambda few: few.index.search("a dog"), TypeError, "query"),
        (lambda few: few.index.search(np.zeros((2, 3))), ValueError, "expected shape"),
        (lambda few: few.index.remove("0/0.wav"), TypeError, "0/0.wav"),
        (lambda few: few.index.remove([0]), TypeError, "0"),
        (lambda few: few.index.add("row"), TypeError, "expected"),
        (lambda few: few.index.add(["row"]), TypeError, "expected"),
        (lambda _: Index.open(None), TypeError, "path"),  # type: ignore[arg-type]
        (lambda _: Index.open(3), TypeError, "path"),  # type: ignore[arg-type]
        (lambda _: Index.open(""), Exception, "empty"),
        (lambda _: FewShot.open(None), TypeError, "path"),  # type: ignore[arg-type]
        (lambda few: FewShot(embedder="earful-small"), TypeError, "FewShot.open takes names"),  # type: ignore[arg-type]
        (lambda few: FewShot(embedder=few.embedder, index="s.index"), TypeError, "index='s.index'"),  # type: ignore[arg-type]
        (lambda few: FewShot(embedder=few.embedder, model="m"), TypeError, "model='m'"),  # type: ignore[arg-type]
        (lambda few: FewShot.open(few.index, embedder=3), TypeError, "embedder=3"),  # type: ignore[arg-type]
        (lambda few: FewShot.open(few.index, model=3), TypeError, "model=3"),  # type: ignore[arg-type]
        (lambda _: Exemplar(id="a", audio=PurePosixPath("a"), labels="dog"), TypeError, "'dog'"),  # type: ignore[arg-type]
        (lambda _: Exemplar(id="a", audio=PurePosixPath("a"), labels=(1,)), TypeError, "hold 1"),  # type: ignore[arg-type]
        (lambda _: Task(name="a", labels="dog"), TypeError, "labels='dog'"),  # type: ignore[arg-type]
        (lambda _: Task(name="a", labels=[1]), TypeError, "labels hold 1"),  # type: ignore[arg-type]
    ],
)
def test_other_calls_check_what_they_are_given(
    few: FewShot, ask: Callable[[Any], object], kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told) as raised:
        ask(few)
    assert "\n" not in str(raised.value)


def test_values_take_what_can_be_meant_in_one_way_only(few: FewShot, folder: Path) -> None:
    exemplar = Exemplar(id="a", audio="a.wav", labels=["dog"])  # type: ignore[arg-type]
    assert (exemplar.audio, exemplar.labels) == (PurePosixPath("a.wav"), ("dog",))
    task = Task(name="a", labels=["0", "1"])  # type: ignore[arg-type]
    assert task.labels == {"0": Label(), "1": Label()}
    assert few.classify(folder / "q.wav", task=task).text == "0"
    found = few.search(folder / "q.wav", k=9, filter=SearchFilter(labels=["0"]))  # type: ignore[arg-type]
    assert {hit.exemplar.answer for hit in found} == {"0"}
    assert AudioLimits()
    assert FewShot.open(str(folder / "s.index")).classify(folder / "q.wav").text == "0"


def test_channels_of_an_array_that_cancel_are_told_as_those_of_a_file(few: FewShot) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    stereo = np.stack([samples, -samples], axis=1)
    for given in ((stereo, RATE), (stereo.T, RATE)):
        assert any("cancel" in note for note in few.classify(given).notes)
    assert not any("cancel" in note for note in few.classify((samples, RATE)).notes)


@pytest.mark.parametrize(
    ("dtype", "peak", "note"),
    [
        (np.int32, 2**23 - 1, "int32 samples peak at -48 dB of full scale: if they are 24-bit"),
        (np.int32, 2**15, "if they are 16-bit values, divide by 2**15"),
        (np.int64, 2**31 - 1, "int64 samples peak at -193 dB .* 32-bit"),
        (np.int64, 2**23 - 1, "if they are 24-bit values, divide by 2**23"),
        (np.int32, 2**30, ""),
        (np.int16, 100, ""),  # a quiet recording
    ],
)
def test_integers_that_do_not_fill_their_type_are_noted(
    dtype: type[np.signedinteger[Any]], peak: int, note: str
) -> None:
    samples = np.sin(np.arange(9000)) * peak
    clip = to_recording((samples.astype(dtype), RATE))
    assert isinstance(clip, Clip)
    assert len(clip.notes) == bool(note)
    assert not note or re.search(note.replace("**", r"\*\*"), clip.notes[0])
    # In the upper part of the type they are in order, however quiet.
    shifted = to_recording(((np.sin(np.arange(9000)) * 9999).astype(np.int32) << 8, RATE))
    assert isinstance(shifted, Clip)
    assert shifted.notes == ()
