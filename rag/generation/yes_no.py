"""Yes or no: the two answers scored, and when neither of them is to be believed.

A language model's preference counts only as far as it comes from hearing: the same question
about silence says what the words alone make of it. The better answer must have odds of 3 to 2,
and hearing must have raised its odds as much.
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
    """Ask a language model for the scores of yes and no, of the recording and of silence.

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
    has_options = "options:" in asked.casefold()
    if asked and model.capabilities.lists_labels and not has_options:
        asked += model.capabilities.wording.yes_no_options
    fitted = replace(request, question=asked).fit(model)
    heard = _log_odds(model, fitted.prompt)
    unheard = _log_odds(model, silenced(model, fitted.prompt))
    return judge_log_odds(heard, unheard), fitted


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


def _log_odds(model: LanguageModel, prompt: Prompt) -> float:
    yes, no = (float(tokens.sum()) for tokens in model.score(prompt, ["yes", "no"]))
    return yes - no
