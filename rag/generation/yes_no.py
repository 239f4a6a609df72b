"""Yes or no: the two answers scored, and when neither of them is to be believed.

A language model's preference counts only as far as it comes from hearing and from what is asked:
the same question about silence says what the words alone make of it, and another question about
the recording, whose answer is known to be the other one, what the model says whatever is asked. The
better answer must have odds of 3 to 2, and either must have raised its odds as much. A model that
is too small to write an answer of its own is never believed: ``earful-small`` is right no more
often than a coin (docs/small-model.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from earful.model import LanguageModel, Prompt
from earful.rag.answer import LabelScore
from earful.rag.generation.prompt import FittedPrompt
from earful.rag.generation.request import ModelRequest, silenced

LEAST_SHARE: Final = 0.6
"""Share of the better answer below which it is not believed."""

LEAST_CHANGE: Final = math.log(LEAST_SHARE / (1.0 - LEAST_SHARE))
"""What hearing must add to the better answer's log-odds: 0.405, odds of 3 to 2."""

_MORE_LIKELY_THAN_NOT: Final = 0.5
_CATCH: Final = {"yes": "Is this complete silence?", "no": "Is this a sound?"}
"""For an answer of yes or no a question of which the other one is right, whatever is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YesNo:
    """An answer of yes or no.

    Attributes:
        yes: Share of yes, in [0, 1]; the rest is no's.
        doubt: Why it is not to be believed; empty when it is.
    """

    yes: float
    doubt: str = ""

    @property
    def text(self) -> str:
        """The better of the two."""
        return "yes" if self.yes >= _MORE_LIKELY_THAN_NOT else "no"

    @property
    def confidence(self) -> float:
        """Share of the better one, in [0.5, 1]."""
        return max(self.yes, 1.0 - self.yes)

    @property
    def scores(self) -> tuple[LabelScore, ...]:
        """Both with their shares, the better one first."""
        shares = {"yes": self.yes, "no": 1.0 - self.yes}
        best_first = sorted(shares, key=lambda text: text != self.text)
        return tuple(LabelScore(label=text, score=shares[text]) for text in best_first)


def score_yes_no(model: LanguageModel, request: ModelRequest) -> tuple[YesNo, FittedPrompt]:
    """Ask a language model for the scores of yes and no, and check whether it is to be believed.

    Args:
        model: Scores answers.
        request: With a question; the two options are added where the model reads options.

    Returns:
        The answer; and the prompt about the recording.

    Raises:
        PromptError: The prompt does not fit.
        AudioError: A recording cannot be read.
        ModelError: The model gives no log-probabilities.
    """
    asked = request.question or request.task.question
    fitted = _ask(model, request, asked)
    heard = _log_odds(model, fitted.prompt)
    if not model.capabilities.writes_captions:
        name = model.capabilities.name
        doubt = f"it is about no label of an index, and {name} is too small a model to be believed"
        return replace(judge_log_odds(heard, heard), doubt=doubt), fitted
    found = judge_log_odds(heard, _log_odds(model, silenced(model, fitted.prompt)))
    if found.doubt:
        return found, fitted
    catch = _ask(model, request, _CATCH[found.text])
    return judge_catch(found, heard, _log_odds(model, catch.prompt)), fitted


def judge_log_odds(heard: float, unheard: float) -> YesNo:
    """Judge the log-odds of yes against no, of a recording and of silence.

    >>> judge_log_odds(2.0, 0.0).text, judge_log_odds(2.0, 0.0).doubt
    ('yes', '')
    >>> bool(judge_log_odds(2.0, 2.5).doubt), bool(judge_log_odds(-0.3, 0.9).doubt)
    (True, True)
    """
    found = YesNo(yes=1.0 / (1.0 + math.exp(-max(min(heard, 700.0), -700.0))))
    change = heard - unheard if found.text == "yes" else unheard - heard
    if found.confidence < LEAST_SHARE:
        other = "no" if found.text == "yes" else "yes"
        return replace(found, doubt=f"{other!r} is about as likely")
    if change < LEAST_CHANGE:
        return replace(found, doubt=f"the model says {found.text!r} of silence nearly as much")
    return found


def judge_catch(found: YesNo, heard: float, caught: float) -> YesNo:
    """Judge an answer by what the model says where the other one is right.

    Args:
        found: The answer.
        heard: Its log-odds of yes against no.
        caught: Those of the same recording and a question that asks for the other answer.

    >>> judge_catch(YesNo(yes=0.88), 2.0, -1.0).doubt
    ''
    >>> judge_catch(YesNo(yes=0.88), 2.0, 1.9).doubt
    "the model says 'yes' of this recording whatever is asked"
    """
    change = heard - caught if found.text == "yes" else caught - heard
    if change >= LEAST_CHANGE:
        return found
    return replace(
        found, doubt=f"the model says {found.text!r} of this recording whatever is asked"
    )


def judge_label(
    label: str, ranked: tuple[LabelScore, ...], *, exclusive: bool, likeness: float
) -> YesNo:
    """Judge whether a label is there by its score in the neighbour vote.

    Where one label is right it is held against the best of the others, and one of the two must be
    more likely than not, or the vote knows neither. Else its score is the probability that it is
    there.

    Args:
        label: One of the ranked.
        ranked: All labels' scores, best first.
        exclusive: Whether one label is right, or each is decided for itself.
        likeness: How far the recording is like any exemplar, in [0, 1].
    """
    own = next(score.score for score in ranked if score.label == label)
    rival = max((score.score for score in ranked if score.label != label), default=None)
    if not exclusive:
        yes = own
    elif rival is None:
        yes = likeness  # with one label in the index, its score is always 1
    else:
        yes = own / (own + rival) if own + rival else 0.5
    found = YesNo(yes=yes)
    if likeness < _MORE_LIKELY_THAN_NOT:
        return replace(found, doubt="no exemplar is like this recording")
    is_told = not exclusive or ranked[0].score > _MORE_LIKELY_THAN_NOT
    if found.confidence < LEAST_SHARE or not is_told:
        return replace(found, doubt="the exemplars nearest to it disagree")
    return found


def judge_choice(
    labels: tuple[str, ...], ranked: tuple[LabelScore, ...], *, exclusive: bool, likeness: float
) -> tuple[tuple[LabelScore, ...], str]:
    """Judge which of some labels is there by their scores in the neighbour vote.

    Args:
        labels: Those to choose from, two or more of the ranked.
        ranked: All labels' scores, best first.
        exclusive: Whether one label is right, or each is decided for itself.
        likeness: How far the recording is like any exemplar, in [0, 1].

    Returns:
        Their scores, best first, as shares of each other where one is right; and why the first
        is not to be believed, or ``""``.
    """
    asked = [score for score in ranked if score.label in labels]
    total = sum(score.score for score in asked)
    first = asked[0]
    doubt = ""
    if likeness < _MORE_LIKELY_THAN_NOT:
        doubt = "no exemplar is like this recording"
    elif (total if exclusive else first.score) <= _MORE_LIKELY_THAN_NOT:
        doubt = "the exemplars speak for none of these"
        if exclusive and ranked[0] is not first:
            doubt += f" but for {ranked[0].label!r}"
    elif first.score < LEAST_SHARE * (first.score + asked[1].score):
        doubt = f"{first.label!r} and {asked[1].label!r} cannot be told apart"
    if exclusive and total:
        asked = [replace(score, score=score.score / total) for score in asked]
    return tuple(asked), doubt


def _ask(model: LanguageModel, request: ModelRequest, asked: str) -> FittedPrompt:
    """Fit a question into a prompt, with yes and no as options where the model reads options."""
    has_options = "options:" in asked.casefold()
    if asked and model.capabilities.lists_labels and not has_options:
        asked += model.capabilities.wording.yes_no_options
    return replace(request, question=asked).fit(model)


def _log_odds(model: LanguageModel, prompt: Prompt) -> float:
    yes, no = (float(tokens.sum()) for tokens in model.score(prompt, ["yes", "no"]))
    return yes - no
