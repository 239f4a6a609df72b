"""Licences: many spellings of one, and which recordings may be passed on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.index.sharing.licences import AllowedLicences, hub_licence, licence_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC0", "CC0-1.0"),
        ("cc0 1.0 Universal", "CC0-1.0"),
        ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("Public Domain Mark 1.0", "public domain"),
        ("CC-BY", "CC-BY"),
        ("cc by 4", "CC-BY-4.0"),
        ("Attribution 3.0", "CC-BY-3.0"),
        ("Creative Commons Attribution 4.0 International (CC BY 4.0)", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by/3.0/", "CC-BY-3.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/deed.en", "CC-BY-NC-4.0"),
        ("Attribution-NonCommercial", "CC-BY-NC"),
        ("Attribution Non-Commercial Share Alike 4.0", "CC-BY-NC-SA-4.0"),
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("apache 2.0", "Apache-2.0"),
        ("  ", "no licence"),
        # What says more than one licence does is none of those that are known.
        ("CC0 and CC-BY-NC", "CC0 and CC-BY-NC"),
        ("CC BY 4.0 (but not for training)", "CC BY 4.0 (but not for training)"),
        ("CC BY 4.0 (CC BY-NC 4.0)", "CC BY 4.0 (CC BY-NC 4.0)"),
        ("Sampling+", "Sampling+"),
        # There is no such version.
        ("by 0", "by 0"),
        ("CC BY 9.0", "CC BY 9.0"),
        (
            "http://creativecommons.org/licenses/by/0.0/",
            "http://creativecommons.org/licenses/by/0.0/",
        ),
    ],
)
def test_a_licence_has_one_name(text: str, name: str) -> None:
    assert licence_name(text) == name


@given(
    st.lists(
        st.sampled_from(["cc", "by", "nc", "sa", "nd", "0", "zero", "attribution", "4.0", "other"]),
        max_size=6,
    ),
    st.sampled_from([" ", "-", "/", "_", ""]),
    st.booleans(),
)
def test_further_conditions_are_never_taken_for_none(
    words: list[str], between: str, is_upper: bool
) -> None:
    text = between.join(words)
    text = text.upper() if is_upper else text
    if not AllowedLicences().refusal(text, author="Ada"):
        assert not {"nc", "sa", "nd", "other"} & set(words)
        assert licence_name(text) in ("CC0-1.0", "CC-BY", "CC-BY-4.0")


@given(st.text(max_size=40))
def test_a_name_is_its_own_name(text: str) -> None:
    assert licence_name(licence_name(text)) == licence_name(text)
    assert hub_licence(licence_name(text))


def test_an_author_is_asked_for_and_an_empty_licence_never_goes() -> None:
    every = AllowedLicences.of(["CC-BY-NC-SA", "mit"])
    assert every.refusal("CC-BY-NC-SA 4.0", author="") == "CC-BY-NC-SA-4.0 without an author"
    assert every.refusal("CC-BY-NC-SA 4.0", author="Ada") == ""
    assert every.refusal("MIT", author="") == ""
    assert every.refusal("", author="Ada") == "no licence"
    assert AllowedLicences.of(["CC-BY-NC-4.0"]).refusal("CC-BY-NC-3.0", author="Ada")
    with pytest.raises(ValueError, match="empty name"):
        AllowedLicences.of([" "])
