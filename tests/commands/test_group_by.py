"""Groups of field recordings as a user meets them: one note, and an option against it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from earful.index import Index
from tests.support.tones import write_tone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    """Two labels at two sites, two recordings each."""
    for number, label in enumerate(("whistle", "hum")):
        for site in ("MILL", "POND"):
            for day in (1, 2):
                name = f"{site}_2026050{day}_0{number}3000.wav"
                path = tmp_path / "nights" / label / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_tone(path, 500 + 900 * number, 10 * number + day)
    return tmp_path / "nights"


def groups(index: str) -> set[str]:
    return set(Index.open(index).read_table(["group"]).column("group").to_pylist())


def test_a_build_makes_sites_groups_and_says_so_once(run: Run, nights: Path) -> None:
    words = ("index", "build", nights, "--index", "s.index", "--embedder", "logmel")
    code, out, err = run(*words)
    assert code == 0
    assert (out + err).count("2 sites (MILL, POND)") == 1
    assert groups("s.index") == {"MILL", "POND"}
    # Told otherwise, the rows change and no recording is embedded again.
    code, out, err = run(*words, "--group-by", "none")
    assert code == 0
    assert "8 changed (vector kept)" in out
    assert "site" not in out + err
    assert groups("s.index") == {""}


def test_another_way_is_a_usage_error(run: Run, nights: Path) -> None:
    code, _, err = run("index", "build", nights, "--index", "s.index", "--group-by", "sites")
    assert code == 2
    assert "auto, site or none" in err
