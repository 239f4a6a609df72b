"""``earful index push``, ``pull`` and ``card`` as a user types them, with a folder for a hub."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_an_index_is_pushed_pulled_and_asked_by_the_commands_of_its_card(
    run: Run, index: Path, corpus: Path
) -> None:
    code, out, err = run("index", "push", index, "./hub/tones", "--dry-run")
    assert (code, out.strip()) == (0, "nothing was sent (--dry-run)")
    for told in ("hub/tones (new, a folder)", "8 rows in 7 files", "licences: no licence (8)"):
        assert told in err
    assert "missing on the card: 8 rows state no licence" in err
    assert not Path("hub").exists()
    code, out, _ = run("index", "push", index, "./hub/tones", "--json")
    pushed = json.loads(out)
    assert (code, pushed["sent"], pushed["n"], pushed["n_files"]) == (0, True, 8, 7)
    (shell,) = re.findall(r"```sh\n(.*?)```", Path("hub/tones/README.md").read_text(), re.DOTALL)
    _, pull, ask = shell.strip().splitlines()
    code, out, err = run(*shlex.split(pull)[1:])
    assert code == 0, err
    assert out.splitlines()[0].startswith("8 rows of ")
    assert pushed["revision"] in out
    query = corpus / "whistle/0.wav"
    words = ask.replace("recording.wav", str(query))
    code, out, _ = run(*shlex.split(words)[1:])
    assert code == 0
    assert ": whistle" in out
    code, out, _ = run("index", "verify", "tones.index")
    checked, without, unheard = out.splitlines()
    assert checked == "8 rows checked, 8 as written, 0 problems"
    assert without == "8 rows came without audio"
    ids = json.loads(run("index", "verify", "tones.index", "--json")[1])["unheard"]
    assert (len(ids), unheard) == (8, f"cannot be heard here: {', '.join(ids)}")
    code, out, _ = run("index", "push", index, "./hub/tones")
    assert "holds all of it already; nothing was sent" in out
    # With the recordings at hand, the index is pointed to them.
    code, _, err = run("index", "verify", "tones.index", "--repair", "--corpus", corpus)
    assert code == 0, err
    code, out, _ = run("index", "verify", "tones.index")
    assert out.strip() == "8 rows checked, 8 as written, 0 problems"


@pytest.mark.slow
def test_a_card_shows_what_is_missing_and_the_figures_of_a_run(run: Run, index: Path) -> None:
    code, _, err = run("evaluate", "--index", index, "--model", "none", "--shots", "1")
    assert code == 0, err
    words = ("index", "card", index, "--for", "ada/tones")
    code, out, err = run(*words, "--evaluation", "all-labels.evaluation.json", "--out", "README.md")
    assert (code, out.strip()) == (0, "wrote README.md")
    assert "missing: 8 rows state no licence" in err
    text = Path("README.md").read_text()
    assert "- `vote@1`: " in text
    assert "- `majority`: " in text
    code, out, err = run(*words, "--json")
    assert json.loads(out)["text"].startswith("---\npretty_name: tones\n")
    code, _, err = run("index", "push", index, "./hub/tones", "--card", "README.md")
    assert code == 0, err
    assert Path("hub/tones/README.md").read_text() == text


def test_mistakes_are_said_in_a_line(run: Run, index: Path) -> None:
    for words, code, told in (
        (("push", index, "nonsense"), 1, "expected ORG/NAME"),
        (("pull", "s3://a/b.index", "-i", "x.index"), 1, "used by its address: --index s3://a"),
        (("push", index, "./hub/x", "--private"), 1, "leave out --private"),
        (("push", index, "./hub/x", "--allow-licence", "MIT"), 2, "add --with-audio"),
        (("push", index, "./hub/x", "--with-audio", "--allow-licence", ""), 2, "such as CC-BY-SA"),
        (("push", "none.index", "./hub/x"), 1, "there is no such folder"),
        (("pull", "./nowhere", "-i", "x.index"), 1, "there is no such folder"),
        (("pull", "./", "-i", "x.index"), 1, "is no index that `earful index push` made"),
        (("pull", "ada/sounds@", "-i", "x.index"), 1, "a branch, tag or commit behind @"),
        (("card", index, "--evaluation", "none.json"), 1, "cannot be read"),
    ):
        found, out, err = run("index", *words)
        assert (found, out) == (code, ""), words
        assert told in err
        assert len(err.strip().splitlines()) <= 5
