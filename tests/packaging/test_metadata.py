"""What the package index, citation managers and readers are told of a release."""

import csv
import email
import email.message
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.installed import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


@pytest.fixture
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


@pytest.mark.slow
def test_the_metadata_says_what_the_package_index_shows(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "earful"
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_all("License-File") == ["LICENSE", "ATTRIBUTION.md"]
    assert set(metadata.get_all("Classifier", [])) == set(PROJECT["classifiers"])
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    assert not [name for name in metadata.get_all("Requires-Dist", []) if "@" in name]


@pytest.mark.slow
def test_licences_and_attribution_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in PROJECT["license-files"]:
            (inside,) = [one for one in archive.namelist() if one.endswith(f"licenses/{name}")]
            assert archive.read(inside) == (ROOT / name).read_bytes()


def test_the_licence_expression_names_the_licence_of_every_recording() -> None:
    named = set(PROJECT["license"].split(" AND "))
    for table in (ROOT / "notebooks/demo").rglob("metadata.csv"):
        with table.open(newline="", encoding="utf-8") as file:
            assert {row["licence"] for row in csv.DictReader(file)} <= named


def test_an_extra_with_all_has_every_other() -> None:
    extras = PROJECT["optional-dependencies"]
    named = {
        name
        for line in extras["all"]
        for name in line.removeprefix("earful[").rstrip("]").split(",")
    }
    # Both distributions of FAISS install the same module.
    assert named == set(extras) - {"all", "faiss-gpu"}


def test_the_citation_is_complete() -> None:
    """The form is that of the Citation File Format 1.2.0; `./dev release` checks its schema."""
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "software"
    assert {"message", "title", "abstract", "authors", "keywords"} <= set(found)
    assert found["license"] in PROJECT["license"].split(" AND ")
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(found["version"]))


def test_the_changelog_has_a_section_a_release_the_newest_first() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    sections = [line for line in lines if line.startswith("## ")]
    assert sections[0] == "## [Unreleased]"
    dated = [
        re.fullmatch(r"## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", one) for one in sections[1:]
    ]
    versions = [tuple(map(int, one.group(1).split("."))) for one in dated if one]
    assert len(versions) == len(dated)
    assert versions == sorted(set(versions), reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for start, line in enumerate(lines):
        if line.startswith("### "):
            assert line.removeprefix("### ") in kinds, f"line {start + 1}: {line}"


def test_a_section_of_the_changelog_has_each_kind_of_change_once_and_no_gap() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (\w+)$", section, re.MULTILINE)
        assert len(kinds) == len(set(kinds))
        # A blank line within a list ends it for some readers.
        for part in section.split("\n### ")[1:]:
            body = part.partition("\n")[2].strip("\n")
            assert "\n\n" not in body, body.partition("\n\n")[2][:80]
