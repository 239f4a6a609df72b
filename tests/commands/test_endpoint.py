"""Language models behind an endpoint, as a user types them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from earful.testing.stub_endpoint import StubEndpoint, serve_stub
from tests.support.error_lines import without_help
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEndpoint]:
    pytest.importorskip("openai")
    monkeypatch.setenv("EARFUL_HOME", str(tmp_path / "home"))
    for name in ("OPENAI_API_KEY", "EARFUL_BASE_URL", "EARFUL_PRICES"):
        monkeypatch.delenv(name, raising=False)
    with serve_stub(StubEndpoint(prefers="whistle", logprobs=False)) as served:
        yield served


@pytest.fixture
def query(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "query.wav", 3100, 50)


def test_a_model_is_asked_and_the_host_is_named_once(
    run: Run, index: Path, query: Path, stub: StubEndpoint, tmp_path: Path
) -> None:
    other = write_tone(tmp_path / "other.wav", 2900, 51)
    words = ("--index", index, "--shots", 2, "--model", "openai:", "--base-url", stub.address)
    code, out, err = run("classify", query, other, *words, "--prices", "1000000,1000000")
    assert code == 0, err
    assert out.startswith(f"{query}: whistle\n")
    assert "neighbour vote: whistle" in out
    assert "endpoint: " in out
    assert ", cost " in out
    assert "tells no probability" in out
    host = stub.address.removeprefix("http://").removesuffix("/v1")
    assert err.count(f"recordings are sent to {host}") == 1
    assert "in all: " in err
    code, out, _ = run("classify", query, *words, "--json")
    answer = json.loads(out)
    assert (answer["confidence"], answer["scoring"]) == (None, "choice")
    assert answer["requests"]["n_requests"] == 1
    assert answer["requests"]["cost"] is None


def test_address_and_prices_come_from_the_environment_as_well(
    run: Run, index: Path, query: Path, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARFUL_BASE_URL", stub.address)
    monkeypatch.setenv("EARFUL_PRICES", "1,2")
    words = ("classify", query, "--index", index, "--shots", 1)
    code, out, err = run(*words, "--model", "openai:ears-7b", "--keep-replies")
    assert code == 0, err
    assert "cost 0.00" in out
    n = len(stub.bodies)
    _, out, _ = run(*words, "--model", "openai:ears-7b", "--keep-replies")
    assert "1 reply kept from before" in out
    assert len(stub.bodies) == n
    # They mean nothing to other models.
    code, out, err = run(*words, "--model", "none")
    assert code == 0, err


def test_what_was_written_and_names_no_label_is_shown(
    run: Run, index: Path, query: Path, stub: StubEndpoint
) -> None:
    stub.constrains, stub.writes = False, "some \x1b[31mbird"
    words = ("--index", index, "--model", "openai:", "--base-url", stub.address)
    code, out, _ = run("classify", query, *words)
    assert code == 0
    assert "cannot say" in out
    assert "because it wrote" in out
    assert "\x1b" not in out


def test_a_check_tells_what_is_heard(run: Run, stub: StubEndpoint) -> None:
    words = ("models", "check", "openai:ears-7b", "--base-url", stub.address)
    code, out, _ = run(*words)
    assert code == 0
    assert "verified: each recording adds tokens" in out
    assert "choice" in out
    code, out, _ = run(*words, "--json")
    assert json.loads(out)["max_audios"] == 100
    stub.hears = 0
    code, out, _ = run(*words, "--anew")
    assert code == 1
    assert "no: recordings add no token" in out


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("--model", "openai:x"), "--base-url"),
        (("--model", "openai:x", "--base-url", "here"), "expected an address"),
        (("--model", "openai:x", "--base-url", "https://a.example/v1"), "OPENAI_API_KEY"),
        (("--model", "openai:x", "--base-url", "http://localhost/v1", "--slots", "2"), "--slots"),
        (("--base-url", "http://localhost/v1"), "name a model there"),
        (("--model", "openai:x", "--scoring", "best"), "expected auto, exact"),
        (("--model", "openai:x", "--prices", "cheap"), "expected the prices"),
        (("--model", "openai:x", "--request-field", "seed"), "expected NAME=JSON"),
        (("--model", "openai:x", "--request-field", "model=1"), "earful's own"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(
    run: Run, index: Path, query: Path, stub: StubEndpoint, words: tuple[str, ...], word: str
) -> None:
    code, out, err = run("classify", query, "--index", index, *words)
    assert code in (1, 2)
    assert word in " ".join(err.replace("│", " ").split())
    assert not out
    assert not stub.headers


def test_a_server_that_is_down_is_one_line_for_all_recordings(
    run: Run, index: Path, query: Path, stub: StubEndpoint
) -> None:
    words = ("--index", index, "--model", "openai:x", "--base-url", "http://127.0.0.1:9/v1")
    code, out, err = run("classify", query, query, query, *words)
    assert (code, out) == (1, "")
    assert err.count("127.0.0.1:9 cannot be reached") == 1


def test_a_missing_extra_is_one_line(
    run: Run, index: Path, query: Path, stub: StubEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = ("--index", index, "--model", "openai:x", "--base-url", stub.address)
    code, _, err = run("classify", query, *words)
    assert code == 1
    assert without_help(err).strip().splitlines()[-1].endswith("pip install 'earful[endpoint]'")


def test_models_behind_an_endpoint_are_listed(run: Run) -> None:
    code, out, _ = run("models", "list")
    assert code == 0
    assert "openai:NAME" in out


@pytest.mark.slow
def test_endpoints_are_compared_and_listened_to(
    run: Run, index: Path, query: Path, stub: StubEndpoint, tmp_path: Path
) -> None:
    words = [*("--index", index, "--near-duplicate", "1", "--limit", "2", "--shots", "0,1")]
    words += ["--out", tmp_path / "run.json", "-m", "openai:ears-7b"]
    address = ("--base-url", stub.address)
    code, out, err = run("evaluate", *words, "-m", "earful-small", *address, "--prices", "1,2")
    assert code == 0, err
    assert "earful-small: retrieved@1" in out
    assert "openai:ears-7b took " in out
    assert "note: openai:ears-7b: the endpoint was sent " in out
    assert "note: openai:ears-7b: the language model tells no probability" in out
    assert "earful-small: blend@1" in out
    assert "openai:ears-7b: blend@1" not in out
    # Once more, the replies that were kept answer all.
    (tmp_path / "run.json").unlink()
    n = len(stub.bodies)
    _, again, _ = run("evaluate", *words, "-m", "earful-small", *address)
    assert "was sent 0 requests now" in again
    assert len(stub.bodies) == n
    wrong = run("evaluate", *words, "-m", "openai:other", *address, "--dtype", "float16")
    assert "not behind an endpoint" in wrong[2]
    code, out, err = run("models", "listen", "openai:ears-7b", query, *address)
    assert code == 0, err
    assert "silence in the recording's place: " in out
    assert "leave it out" in run("models", "listen", "openai:a", query, "--keep-replies")[2]


def test_a_server_that_decides_is_sent_no_recording(
    run: Run, index: Path, query: Path, stub: StubEndpoint
) -> None:
    stub.decides = 255
    where = ("--base-url", stub.address, "--scoring", "decisions")
    code, out, err = run("models", "check", "openai:", *where)
    assert code == 0, err
    assert "no, and is sent none" in out
    assert "decisions: decisions take words alone" in out
    words = ("--index", index, "--shots", 2, "--model", "openai:", *where, "--no-blend")
    code, out, err = run("classify", query, *words, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["text"], answer["scoring"]) == ("whistle", "decisions")
    assert "recordings are sent" not in err
    assert "input_audio" not in json.dumps(stub.bodies)
    stub.decides = 0
    code, _, err = run("models", "check", "openai:", *where, "--anew")
    assert code != 0
    assert "makes no decisions" in err
