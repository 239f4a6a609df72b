"""The gate of a release: tag, changelog and citation name one version."""

import importlib.util
from typing import Any

import pytest

from tests.support.installed import ROOT

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2027-01-31\n\n### Added\n- A door.\n"
CITATION = "cff-version: 1.2.0\nversion: 1.2.0\n"


@pytest.fixture(scope="module")
def release() -> Any:
    specification = importlib.util.spec_from_file_location("release", ROOT / ".ci/release.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_tag_names_the_version(release: Any) -> None:
    assert release.tagged_version("v1.2.0\n", "") == ("1.2.0", [])
    assert release.tagged_version("night\nv1.2.0rc1\n", "") == ("1.2.0rc1", [])


@pytest.mark.parametrize("tags", ["", "1.2.0\n", "v1.2\n", "v1.2.0\nv1.2.1\n", "v1.2.0.dev1\n"])
def test_what_is_no_tag_of_one_version_is_refused(release: Any, tags: str) -> None:
    version, (fault,) = release.tagged_version(tags, "")
    assert version == ""
    assert "expected one such as v1.2.0" in fault


def test_changes_that_are_not_committed_are_named(release: Any) -> None:
    _, (fault,) = release.tagged_version("v1.2.0\n", " M README.md\n?? new.py\n")
    assert fault == "not committed: README.md, new.py"


def test_changelog_and_citation_have_to_name_it(release: Any) -> None:
    assert list(release.text_faults("1.2.0", CHANGELOG, CITATION)) == []
    assert list(release.text_faults("1.2.0rc1", CHANGELOG, CITATION)) == []
    missing = list(release.text_faults("1.3.0", CHANGELOG, CITATION))
    assert [fault.partition(":")[0] for fault in missing] == ["CHANGELOG.md", "CITATION.cff"]
    waiting = CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n- A lock.\n")
    (fault,) = release.text_faults("1.2.0", waiting, CITATION)
    assert fault == "CHANGELOG.md: [Unreleased] still has 2 lines"
