"""Every public value type can be pickled, copied, turned into a dict and hashed."""

import copy
import dataclasses
import enum
import inspect
import json
import math
import pickle
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime, time
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pytest

import earful
from earful import Clip, Exemplar, Label
from earful.index.datasets import list_datasets, load_declaration
from earful.index.recordings import Hearing
from tests.test_public_api import offered_types

# What belongs to one process: caches and open things, and tensors of a model; and results with
# Arrow in them, which tests of their own send to other processes.
LIVE = {
    *("AnswerTree", "FlamingoBatch", "Job", "PreparedTask", "Reading", "Remarks", "Retrieved"),
    *("Done", "LabelCounts", "StubEndpoint", "UnitResult"),
}
# Whose fields depend on each other: as they are by default.
BY_DEFAULT = {
    *(
        "FlamingoConfig",
        "MsClapConfig",
        "AudioLimits",
        "EventFilter",
        "ReviewSettings",
        "SpectrogramView",
    ),
}
# Fields that have rules of their own.
FIELDS: dict[str, dict[str, Any]] = {
    "Annotation": {"end_s": 2.0},
    "BlockPlan": {"channel": "mean"},
    "Exemplar": {"labels": ("dog", "cat"), "end_s": 2.0},
    "RecorderOptions": {
        "timezone": "UTC",
        "time_pattern": "(?P<date>[0-9]{8})_(?P<time>[0-9]{6})",
        "site_pattern": "(?P<site>[^/]+)/",
    },
    "ExampleSources": {
        **{"index": "sounds.index", "task": "owls.toml", "first": None, "reference": ()},
    },
    "Family": {"count_tokens": math.hypot, "longest_s": math.sqrt},
    "Hearing": {"low_hz": 100.0, "high_hz": 8000.0, "slow": 2.0, "channel": "first"},
    "ScanOptions": {"hearing": Hearing(slow=2.0)},
    "ScanPart": {"to_s": 9.0, "from_clock": time(4), "to_clock": time(7, 30)},
    "ScanSettings": {"n_background": 100},
    "ServeSettings": {"host": "127.0.0.1", "token": "t" * 32},
    "Shots": {"strategy": "nearest"},
    "Task": {"labels": {"dog": Label(aliases=("hound",))}, "metric": "accuracy"},
    "Window": {"length_s": 1.0},
    "LabelNames": {"standardise": math.sqrt},
    "ShotSet": {"prepared": None},
    "EndpointSettings": {"on_upload": None},
    "Evaluation": {"scorecard": "computed from the document"},
    "EvaluationSettings": {"resamples": 100, "strategies": ("nearest",), "arms": ("vote",)},
    "LabelVote": {"evidence": None},
    "RayEngine": {"load": None},
    "WorkerMaker": {"load": math.sqrt},
}
VALUES = {
    name: kind
    for name, kind in sorted(offered_types().items())
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind) and name not in LIVE
}


def example(hint: Any) -> Any:
    """Make a value that a type hint allows."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint is object:
        return "anything"
    if origin is Literal:
        return args[0]
    if origin in (types.UnionType, typing.Union):
        return example(next(arg for arg in args if arg is not type(None)))
    if origin is tuple:
        return tuple(example(arg) for arg in args if arg is not Ellipsis)
    if origin is Sequence:
        return (example(args[0]),)
    if origin is frozenset:
        return frozenset({example(args[0])})
    if origin is np.ndarray:
        (dtype,) = typing.get_args(args[1])
        return np.ones(2, np.float64 if dtype is np.floating else dtype)
    if origin in (Mapping, dict):
        return {example(args[0]): example(args[1])}
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    if hasattr(hint, "_fields"):
        return hint(*(example(value) for value in typing.get_type_hints(hint).values()))
    if dataclasses.is_dataclass(hint):
        return make(typing.cast(type, hint))
    plain = {str: "a", int: 1, float: 0.5, bool: True, bytes: b"a", Path: Path("a.wav")}
    plain |= {
        time: time(4, 30),
        PurePosixPath: PurePosixPath("a.wav"),
        datetime: datetime(2026, 5, 3, 4, 30),
    }
    return plain[hint]


def make(kind: type) -> Any:
    """Make an instance with every field filled, not by its default."""
    known = FIELDS.get(kind.__name__, {})
    if kind.__name__ in BY_DEFAULT:
        return kind()
    if kind is Clip:
        return Clip(samples=np.ones(8, np.float32), sample_rate=8000)
    hints = typing.get_type_hints(kind, localns=offered_types())
    return kind(
        **{
            field.name: known[field.name] if field.name in known else example(hints[field.name])
            for field in dataclasses.fields(kind)
            if field.init
        }
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name))
            for field in dataclasses.fields(one)
        )
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def test_there_are_value_types_to_try() -> None:
    assert len(VALUES) > 90
    assert {"Answer", "Exemplar", "Hit", "Query", "Task", "Prompt", "BuildReport"} <= set(VALUES)
    assert set(offered_types()) >= LIVE


@pytest.mark.parametrize("name", VALUES)
def test_a_value_can_be_pickled_copied_and_hashed(name: str) -> None:
    value = make(VALUES[name])
    for again in (
        *(pickle.loads(pickle.dumps(value, protocol)) for protocol in (2, 5)),
        copy.copy(value),
        copy.deepcopy(value),
        dataclasses.replace(value),
    ):
        assert same(value, again)
        if "__eq__" in vars(type(value)):
            assert value == again
            assert hash(value) == hash(again)
    assert isinstance(hash(value), int)
    assert {value: 1}[value] == 1
    assert list(dataclasses.asdict(value)) == [field.name for field in dataclasses.fields(value)]


@pytest.mark.slow
@pytest.mark.parametrize("name", VALUES)
def test_values_of_the_same_fields_are_equal_unless_they_hold_arrays(name: str) -> None:
    one, other = make(VALUES[name]), make(VALUES[name])
    assert same(one, other)
    assert (one == other) is ("__eq__" in vars(type(one)))
    assert one == one


def test_a_mapping_of_any_kind_can_be_given() -> None:
    for given in ({"site": "a"}, MappingProxyType({"site": "a"})):
        exemplar = Exemplar(id="x", audio=PurePosixPath("x.wav"), meta=given)
        assert pickle.loads(pickle.dumps(exemplar)) == exemplar
        assert json.loads(json.dumps(dataclasses.asdict(exemplar)["meta"])) == {"site": "a"}
        with pytest.raises(TypeError, match="cannot be changed"):
            exemplar.meta["site"] = "b"  # type: ignore[index]


@pytest.mark.parametrize("name", list_datasets())
def test_every_declaration_can_be_pickled_and_hashed(name: str) -> None:
    dataset = load_declaration(name)
    assert pickle.loads(pickle.dumps(dataset)) == copy.deepcopy(dataset) == dataset
    assert isinstance(hash(dataset), int)


def lengthened(value: Any) -> Any:
    """Make texts, arrays and collections of a value long."""
    if isinstance(value, str):
        return "line\n" * 200
    if isinstance(value, np.ndarray):
        return np.ones(9999, value.dtype)
    if isinstance(value, tuple):
        return value * 99
    if isinstance(value, PurePosixPath | Path):
        return type(value)("folder/" * 50 + "a.wav")
    return value


@pytest.mark.parametrize("name", sorted({*earful.__all__, "CorpusRow", "Query"} & VALUES.keys()))
def test_a_repr_is_one_short_line(name: str) -> None:
    value = make(VALUES[name])
    for field in dataclasses.fields(value):
        # Past the checks of its fields, which are not what is tried here.
        if name not in BY_DEFAULT and name != "Clip":
            object.__setattr__(value, field.name, lengthened(getattr(value, field.name)))
    told = repr(value)
    assert told.startswith(f"{name}(")
    assert len(told) <= 120, told
    assert "\n" not in told
    assert " at 0x" not in told


def test_a_repr_names_the_fields_that_are_not_as_by_default() -> None:
    exemplar = Exemplar(id="bark", audio=PurePosixPath("bark.wav"), labels=("dog",), split="test")
    assert repr(exemplar) == (
        "Exemplar(id='bark', audio='bark.wav', answer='dog', labels=('dog',), split='test')"
    )
    assert repr(earful.BuildOptions()) == "BuildOptions()"
