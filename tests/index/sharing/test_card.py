"""Cards: read by the hub's own parser, counted, and escaped whatever a corpus says."""

import html
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from earful.errors import SharingError
from earful.index import Index, index_card
from earful.index.sharing.cards.markdown import code, counted_list
from earful.model import Fingerprint
from tests.index.conftest import MakeRow


class FakeEvaluation:
    """The parts of an evaluation that a card reads."""

    def __init__(self, weights_sha256: str, answered_by: Sequence[str] = ()) -> None:
        self.document: dict[str, Any] = {
            "exemplars": {"n": 5},
            "embedder": {"weights_sha256": weights_sha256},
            "shown": [{"id": name} for name in answered_by],
        }

    def to_dict(self) -> dict[str, Any]:
        arms = [
            {"name": name, "metrics": {"accuracy": {"value": value, "low": 0.5, "high": 0.9}}}
            for name, value in (("vote@4", 0.75), ("majority", 0.25))
        ]
        verdict = {"text": "Retrieval helps."}
        return {"task": "t", "metric": "accuracy", "n_items": 8, "arms": arms, "verdict": verdict}


def test_the_hubs_parser_reads_what_a_card_says(shared: Index) -> None:
    card = index_card(shared, place="ada/sounds", with_audio=True)
    data: Any = DatasetCard(card.text).data
    assert data.license == ["cc-by-4.0", "cc-by-nc-3.0", "cc0-1.0"]
    assert {"earful", "audio"} <= set(data.tags)
    assert (data.size_categories, data.pretty_name) == (["n<1K"], "sounds")
    assert "It holds 5 rows with 2 labels" in card.text
    assert "- `rain`: 3 rows\n- `dog`: 2 rows" in card.text
    assert "- `https://example.org/by`: 1 row" in card.text
    assert "- `CC-BY-4.0`: 2 rows" in card.text
    assert "earful index pull ada/sounds --index sounds.index\n" in card.text
    assert "--index sounds.index --model none\n" in card.text
    assert card.refused["no licence"] == 1
    told = "\n".join(card.missing)
    assert "1 row states no licence" in told
    assert "3 rows name no author" in told
    assert "4 rows name no source" in told
    assert str(shared.path.parent) not in card.text


def test_figures_stand_beside_their_baseline(shared: Index) -> None:
    text = index_card(shared, evaluation=FakeEvaluation("ab")).text
    assert "- `vote@4`: 0.750 (0.500 to 0.900)\n- `majority`: 0.250" in text
    assert "8 recordings, 5 exemplars; `accuracy`" in text
    with pytest.raises(SharingError, match=r"of an embedder with weights cd…, and .* ab…"):
        index_card(shared, evaluation=FakeEvaluation("cd"))


def test_figures_of_another_index_are_refused_and_exemplars_that_went_are_counted(
    shared: Index,
) -> None:
    ids = shared.read_table(["id"])["id"].to_pylist()
    text = index_card(shared, evaluation=FakeEvaluation("ab", ids)).text
    assert "no longer in the index" not in text
    text = index_card(shared, evaluation=FakeEvaluation("ab", [*ids, "gone"])).text
    assert "Of the 6 exemplars that answered, 1 is no longer in the index." in text
    with pytest.raises(SharingError, match=r"none of its 2 exemplars is in .*'a/1'; evaluate this"):
        index_card(shared, evaluation=FakeEvaluation("ab", ["a/2", "a/1"]))


def test_negatives_and_an_embedder_of_the_hub_are_told(
    fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    made = replace(fingerprint, name="laion/clap-htsat-unfused", revision="abc")
    index = Index.create(tmp_path / "s.index", made)
    row = make_row("a", labels=())
    index.add([replace(row, exemplar=replace(row.exemplar, not_labels=("owl",))), make_row("b")])
    card = index_card(index)
    assert "**not** there (1 say nothing else):\n\n- `owl`: 1 row" in card.text
    assert "--embedder laion/clap-htsat-unfused@abc" in card.text
    assert "licence of the weights: `Apache-2.0`" in card.text
    data: Any = DatasetCard(card.text).data
    assert data.license == "unknown"


def test_an_index_without_rows_has_no_card(fingerprint: Fingerprint, tmp_path: Path) -> None:
    with pytest.raises(SharingError, match="holds no rows"):
        index_card(Index.create(tmp_path / "s.index", fingerprint))


HOSTILE = (
    "---\nlicense: mit\n---",
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "`` ` ```",
    "| a | b |\n|---|---|",
    "# heading",
    "\u202egnp.exe",
    "!!python/object/apply:os.system ['true']",
)


def test_texts_of_a_corpus_are_shown_and_never_read(
    fingerprint: Fingerprint, make_row: MakeRow, tmp_path: Path
) -> None:
    index = Index.create(tmp_path / "<b>: s.index", fingerprint)
    rows = []
    for number, text in enumerate(HOSTILE):
        row = make_row(str(number), labels=(text,), split=text[:20])
        meta = {"author": text, "source": text, text: "x", "language": text}
        rows.append(replace(row, exemplar=replace(row.exemplar, licence=text, meta=meta)))
    index.add(rows)
    text = index_card(index, with_audio=True).text
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    data = yaml.safe_load(front)
    assert data["license"] == "other"
    assert "language" not in data
    plain = re.sub(r"(`+).*?\1", "", re.sub(r"```sh\n.*?```", "", body, flags=re.DOTALL))
    for odd in ("<", "evil", "script", "\u202e", "|", "!!"):
        assert odd not in plain, plain
    assert [line for line in plain.splitlines() if line.startswith("# ")] == ["# b s"]


@given(st.text(max_size=60) | st.text("`| \\\n<&", max_size=12))
def test_a_markdown_reader_sees_the_text_and_nothing_else(text: str) -> None:
    shown = code(text)
    assert shown.isprintable()
    told = MarkdownIt("commonmark").render(f"- {shown}: 1 row")
    if shown == "(empty)":
        assert not text.strip() or not text.strip("\x00 ")
        return
    found = re.fullmatch(r"<ul>\n<li><code>(.*)</code>: 1 row</li>\n</ul>\n", told)
    assert found, told
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    assert html.unescape(found[1]) == escaped


def test_a_long_list_says_what_it_leaves_out() -> None:
    counts = {str(n): 1 for n in range(60)}
    lines = counted_list(counts, most=50, one="row", more="label")
    assert lines[-1] == "- and 10 further labels"
    assert len(lines) == 51
