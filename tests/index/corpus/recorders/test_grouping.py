"""Sites of field recordings become groups where that helps, and nowhere else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import CorpusError
from earful.index.corpus import Corpus, open_corpus, survey_corpus
from earful.index.corpus.recorders import Grouping
from tests.support.recorder_files import guano, wamd, wav


def corpus(folder: Path, files: Mapping[str, bytes | None], **options: Any) -> Corpus:
    """A folder per label; ``None`` for a recording without metadata."""
    for name, content in files.items():
        path = folder / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav() if content is None else content)
    return open_corpus(folder / "c", **options)


def groups(opened: Corpus) -> dict[str, str]:
    return {row.exemplar.id: row.exemplar.group for row in opened}


def named(*names: str) -> dict[str, bytes | None]:
    return dict.fromkeys(names)


FIELD = named(
    *(
        f"{label}/{site}_2026050{day}_0{hour}3000.wav"
        for hour, label in enumerate(("owl", "fox"))
        for site in ("SITE1", "SITE7")
        for day in (1, 2)
    )
)


def test_the_site_in_names_is_the_group_and_said_in_one_note(tmp_path: Path) -> None:
    opened = corpus(tmp_path, FIELD)
    for _ in range(2):  # a corpus can be read again
        found = groups(opened)
        assert {name.split("/")[1].split("_")[0] for name in found} == {"SITE1", "SITE7"}
        assert all(group == name.split("/")[1].split("_")[0] for name, group in found.items())
    (note,) = (note for note in survey_corpus(opened).notes if "site" in note)
    assert "2 sites (SITE1, SITE7)" in note
    assert "--group-by none" in note


def test_the_site_in_metadata_goes_before_the_name(tmp_path: Path) -> None:
    files: dict[str, bytes | None] = {
        "owl/a_20260501_043000.wav": wav(wamd((4, b"MILL"))),
        "owl/b.wav": wav(guano("WA|Song Meter|Prefix: POND")),
        "fox/c.wav": wav(wamd((4, b"MILL"))),
        "fox/d.wav": wav(wamd((4, b"POND"))),
        "fox/e.wav": None,
    }
    found = groups(corpus(tmp_path, files))
    assert found == {
        "owl/a_20260501_043000.wav": "MILL",
        "owl/b.wav": "POND",
        "fox/c.wav": "MILL",
        "fox/d.wav": "POND",
        "fox/e.wav": "",
    }


@pytest.mark.parametrize(
    ("names", "words"),
    [
        # no stamps, or none that a recorder writes
        (("dog/dog_20200101_bark.wav", "cat/cat_20200101_meow.wav", "dog/1.wav", "cat/2.wav"), ""),
        # labels as prefixes
        (
            tuple(f"{x}/{x}_2020010{n}_120000.wav" for x in ("dog", "cat") for n in (1, 2, 3)),
            "",
        ),
        # telephones
        (
            tuple(f"{x}/VID_2020010{n}_120000.wav" for x in ("dog", "cat") for n in (1, 2, 3)),
            "",
        ),
        # AudioMoth names without a site
        (tuple(f"{x}/2020010{n}_12000{n}.wav" for x in ("dog", "cat") for n in (1, 2, 3)), ""),
        # one site: no recording is left to answer another
        (
            tuple(f"{x}/SITE1_2020010{n}_120000.wav" for x in ("dog", "cat") for n in (1, 2, 3)),
            "one group alone",
        ),
        # a site for each label
        (
            tuple(
                f"{x}/{site}_2020010{n}_120000.wav"
                for x, site in (("dog", "A1"), ("cat", "B2"))
                for n in (1, 2, 3)
            ),
            "2 of 2 labels occur at one site only",
        ),
        # a site for each recording
        (
            tuple(f"{x}/S{n}{x[0]}_2020010{n}_120000.wav" for x in ("dog", "cat") for n in (1, 2)),
            "each has one recording",
        ),
    ],
)
def test_where_it_would_harm_or_change_nothing_each_file_stays_a_group(
    tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    opened = corpus(tmp_path, named(*names))
    assert set(groups(opened).values()) == {""}
    notes = [note for note in opened.reading_notes() if "site" in note]
    assert len(notes) == bool(words)
    assert all(words in note for note in notes)


def test_it_can_be_said(tmp_path: Path) -> None:
    assert set(groups(corpus(tmp_path, FIELD, group_by="none")).values()) == {""}
    one = named("dog/S1_20200101_120000.wav", "cat/S1_20200102_120000.wav", "cat/x.wav")
    opened = corpus(tmp_path / "one", one, group_by="site")
    assert sorted(groups(opened).values()) == ["", "S1", "S1"]
    assert "1 site (S1)" in opened.reading_notes()[0]
    opened = corpus(tmp_path / "none", named("dog/x.wav"), group_by="site")
    assert list(groups(opened).values()) == [""]
    assert "no recording carries a site" in opened.reading_notes()[0]
    with pytest.raises(CorpusError, match="auto, site, none"):
        Grouping(by="sites")  # type: ignore[arg-type]


def test_a_pattern_and_a_column_go_first(tmp_path: Path) -> None:
    opened = corpus(tmp_path, FIELD, group_pattern=r"_(\d{8})_")
    assert set(groups(opened).values()) == {"20260501", "20260502"}
    assert opened.reading_notes() == [
        "group is what --group-pattern finds in the path: 2 groups (20260501, 20260502)"
    ]
    table = tmp_path / "t.csv"
    rows = [f"c/{name},{name.split('/')[0]},{'night' if 'SITE1' in name else ''}" for name in FIELD]
    table.write_text("\n".join(["file_name,label,group", *rows]))
    found = groups(open_corpus(table))
    # SITE7 alone is left, and one site is none.
    assert all(group == ("night" if "SITE1" in name else "") for name, group in found.items())
    n_own = sum("SITE1" in name for name in FIELD)
    for opened, option in (
        (open_corpus(table, group_pattern=r"_(\d{8})_"), "--group-pattern"),
        (open_corpus(table, group_by="site"), "--group-by site"),
    ):
        assert [group == "night" for group in groups(opened).values()].count(True) == n_own
        assert opened.reading_notes()[0] == (
            f"{n_own} rows with a group in the corpus keep it; {option} is for rows without one"
        )


def test_a_pattern_that_makes_one_group_of_all_is_told(tmp_path: Path) -> None:
    # A wildcard of the shell, taken for a regular expression.
    opened = corpus(tmp_path, FIELD, group_pattern="SITE*")
    assert set(groups(opened).values()) == {"SITE"}
    (note,) = opened.reading_notes()
    assert note.endswith(
        "1 group (SITE); with one group alone no recording is left to answer another"
    )
    # Nothing found is told by the number of rows that do not match.
    opened = corpus(tmp_path / "none", FIELD, group_pattern="plot[0-9]")
    assert set(groups(opened).values()) == {""}
    assert opened.reading_notes() == []


def test_stretches_of_a_recording_share_its_site_and_it_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus(tmp_path, {"SITE1_20260501_043000.wav": None, "SITE7_20260501_043000.wav": None})
    rows = [
        f"c/SITE{site}_20260501_043000.wav,{label},{start},{start + 1}"
        for start in range(4)
        for site in (1, 7)
        for label in (("owl", "fox")[start % 2],)
    ]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["file_name,label,start_s,end_s", *rows]))
    opened: list[Path] = []

    def read(path: Path) -> str:
        opened.append(path)
        return path.name.split("_")[0]

    monkeypatch.setattr("earful.index.corpus.recorders.grouping.read_recorder_site", read)
    found = groups(open_corpus(table))
    assert len(found) == 8
    assert set(found.values()) == {"SITE1", "SITE7"}
    assert len(opened) == 2


def test_what_cannot_be_read_has_the_site_of_its_name(tmp_path: Path) -> None:
    opened = corpus(tmp_path, {**FIELD, "owl/SITE1_20260503_043000.wav": b""})
    (tmp_path / "c/owl/SITE1_20260504_043000.wav").symlink_to("gone.wav")
    found = groups(opened)
    assert found["owl/SITE1_20260503_043000.wav"] == "SITE1"
    assert found["owl/SITE1_20260504_043000.wav"] == "SITE1"


@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from(("owl", "fox", "wren"))), max_size=12
    )
)
def test_groups_are_all_sites_or_none(rows: list[tuple[str, str]]) -> None:
    """Whatever the sites and labels, no row is left out, and all are treated alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "earful.index.corpus.recorders.grouping.read_recorder_site",
            lambda path: path.name.split("_")[0],
        )
        from earful.index.corpus import CorpusRow, Exemplar

        given_rows = [
            CorpusRow(
                exemplar=Exemplar(id=str(n), audio=f"{site}_{n}.wav", labels=(label,)),  # type: ignore[arg-type]
                where=str(n),
            )
            for n, (site, label) in enumerate(rows)
        ]
        grouping = Grouping(by="auto")
        grouping.begin()
        found = [
            grouping.group(row, Path("/x"), lambda: (row for row in given_rows))
            for row in given_rows
        ]
    made = [row.exemplar.group for row in found]
    assert made == [site for site, _ in rows] or not any(made)
    if any(made):
        assert len(set(made)) > 1
