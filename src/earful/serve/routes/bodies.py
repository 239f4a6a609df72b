"""Bodies of requests: what may be sent, each field with its limit."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from earful.index.corpus import to_nfc

MOST_LABELS = 500
_LONGEST_LABEL = 200
_LATEST_S = 31 * 86_400.0


def _label(text: str) -> str:
    name = to_nfc(text).strip()
    if not name:
        raise ValueError("is blank; expected a name")
    if len(name) > _LONGEST_LABEL:
        raise ValueError(f"has {len(name)} characters; expected a name of {_LONGEST_LABEL} at most")
    if not name.isprintable():
        raise ValueError("holds control characters; expected a name in one line")
    return name


def _plain_text(text: str) -> str:
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise ValueError("holds control characters")
    return text


LabelText = Annotated[str, Field(max_length=4 * _LONGEST_LABEL), AfterValidator(_label)]
"""Name of a label: 1 to 200 printable characters, blanks around it left out."""

Labels = Annotated[list[LabelText], Field(max_length=MOST_LABELS)]

ShortText = Annotated[str, Field(max_length=200), AfterValidator(_plain_text)]
LongText = Annotated[str, Field(max_length=2000), AfterValidator(_plain_text)]
SourceId = Annotated[str, Field(min_length=3, max_length=80)]
Seconds = Annotated[float, Field(ge=0, le=_LATEST_S, allow_inf_nan=False)]


class Body(BaseModel):
    """JSON of a request; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Stretch(Body):
    """Audio that is meant: a source, or a stretch of it."""

    source: SourceId
    start_s: Seconds = 0.0
    end_s: Seconds | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Stretch:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"end_s={self.end_s:g} is not after start_s={self.start_s:g}")
        return self


class FilterBody(Body):
    """Which rows of the index may be found."""

    label: Labels = []
    split: Annotated[list[ShortText], Field(max_length=50)] = []
    group: Annotated[list[ShortText], Field(max_length=200)] = []
    exclude_group: Annotated[list[ShortText], Field(max_length=200)] = []
    where: LongText = ""
    min_similarity: Annotated[float | None, Field(ge=-1, le=1)] = None


class QuestionBody(Body):
    """What every question has: the audio, and how exemplars are chosen."""

    audio: Stretch
    task: ShortText = ""
    group: ShortText = ""
    shots: Annotated[int | None, Field(ge=0, le=64)] = None
    strategy: ShortText = ""
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


class ClassifyBody(QuestionBody):
    """Which label fits the audio?"""

    labels: Labels | None = None
    always_answer: bool = False


class AskBody(QuestionBody):
    """A question in words about the audio; without one, what is there to hear."""

    question: LongText = ""
    free_text: bool = False
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 128


class SearchBody(FilterBody):
    """Exemplars like a sound, or of what a sentence says."""

    audio: Stretch | None = None
    text: LongText = ""
    k: Annotated[int, Field(ge=1, le=100)] = 20
    page: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _one_of_two(self) -> SearchBody:
        if (self.audio is None) == (not self.text.strip()):
            raise ValueError("expected audio or text, one of the two")
        return self
