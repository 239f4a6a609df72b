"""Commands whose index, corpus or recording is an address."""

from pathlib import Path
from typing import Any

import pytest

from earful.index import Index
from earful.index.distributed import merge_indexes
from earful.model import Fingerprint
from earful.model.audio.sandbox.worker import _environment
from earful.object_stores import forget_copies, set_storage_options, storage_options
from tests.index.conftest import MakeRow
from tests.index.remote.conftest import Machine
from tests.support.command_line import run, run_fine, run_refused
from tests.support.tones import write_tone

ADDRESS = "s3://sounds/birds.index"


def test_an_index_by_its_address(
    memory: Any, machine: Machine, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    Index.create(ADDRESS, fingerprint).add([make_row("a"), make_row("b")])
    machine("there")
    first = run("index", "remove", ADDRESS, "a")
    assert first.exit_code == 0
    assert "note: fetched" in first.stderr
    assert f"of {ADDRESS}" in first.stderr
    assert '"n": 1' in run_fine("index", "info", ADDRESS, "--json")
    machine("here")
    assert len(Index.open(ADDRESS)) == 1
    assert "there is no such index" in run_refused("index", "info", "s3://sounds/none.index")


def test_a_corpus_in_a_store_into_an_index_there(
    memory: Any, machine: Machine, tmp_path: Path
) -> None:
    import obstore

    forget_copies()
    for n in range(2):
        tone = write_tone(tmp_path / f"{n}.wav", 500 + 900 * n, n)
        obstore.put(memory, f"corpus/{('low', 'high')[n]}/{n}.wav", tone.read_bytes())
    build = ("index", "build", "s3://sounds/corpus/", "-i", ADDRESS, "--embedder", "earful-tiny")
    assert f"earful serve --index {ADDRESS}" in run_fine(*build)
    assert "0 embedded, 2 unchanged" in run_fine(*build)
    assert '"s3://sounds/corpus"' in run_fine("index", "info", ADDRESS, "--json")
    added = "s3://sounds/corpus/low/0.wav"
    run_fine("index", "add", added, "--label", "deep", "--id", "again", "-i", ADDRESS)
    assert len(Index.open(ADDRESS)) == 3


def test_storage_options_stand_anywhere(machine: Machine, memory: Any) -> None:
    try:
        run(
            "--storage-option",
            "region=eu",
            "index",
            "info",
            ADDRESS,
            "--storage-option=timeout_s=9",
        )
        assert storage_options() == {"region": "eu", "timeout_s": 9}
    finally:
        set_storage_options({})
    refused = run_refused("index", "info", ADDRESS, "--storage-option", "secret_key=s3cr3t-value")
    assert "is a secret" in refused
    assert "s3cr3t-value" not in refused
    assert "expected KEY=VALUE" in run_refused("index", "info", ADDRESS, "--storage-option", "eu")


def test_addresses_are_merged(
    memory: Any, machine: Machine, fingerprint: Fingerprint, make_row: MakeRow
) -> None:
    for name in "ab":
        Index.create(f"s3://sounds/{name}.index", fingerprint).add([make_row(name)])
    report = merge_indexes(["s3://sounds/a.index", "s3://sounds/b.index"], "s3://sounds/all.index")
    machine("there")
    assert report.n == len(Index.open("s3://sounds/all.index")) == 2


def test_what_decodes_gets_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GOOGLE_SERVICE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.setenv(name, "s3cr3t-value")
    assert "s3cr3t-value" not in _environment().values()
    assert "PATH" in _environment()
