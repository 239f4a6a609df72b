"""Verdict over several language models: which to use, and which of them exemplars help."""

from __future__ import annotations

from earful.rag.evaluation.arms import Arm
from earful.rag.evaluation.scores.results import Helps, ModelVerdict, Verdict
from earful.rag.evaluation.scores.run_scores import RunScores
from earful.rag.evaluation.scores.verdict import (
    beside_chance,
    compared_text,
    cost_order,
    doubts,
    mode_text,
    points_text,
    shots_text,
    shown_sign,
    unit_of,
    value_text,
)


def pass_verdict_on_models(card: RunScores) -> Verdict:
    """Choose the cheapest arm of all models that is not shown to be worse than the best.

    The vote comes first, then what a model's answer cost, where the user gave prices, then the
    seconds that it took.
    """
    chosen, best = _cheapest(card, [arm for arm in _arms(card) if arm.is_answerer] or _arms(card))
    models = tuple(_verdict_on(card, model) for model in card.models)
    return Verdict(text=_sentence(card, chosen, models), arm=chosen, best=best, models=models)


def words_for(arm: Arm) -> str:
    """Return what answers, in plain words.

    >>> words_for(Arm(how="retrieved", k=4, shot_mode="montage", model="a"))
    'a with 4 shots in a montage'
    """
    with_shots = f" with {shots_text(arm)}" if arm.k else ""
    mode = mode_text(arm)
    if arm.how == "zero-shot":
        return f"{arm.model} without shots"
    if arm.how == "retrieved":
        return f"{arm.model}{with_shots}{mode}"
    if arm.how == "blend":
        return f"the blend of {arm.model} and the vote{with_shots}{mode}"
    return f"the neighbour vote{with_shots}" if arm.how == "vote" else f"the {arm.how} arm"


def _arms(card: RunScores) -> list[Arm]:
    return [score.arm for score in card.arms]


def _cheapest(card: RunScores, usable: list[Arm]) -> tuple[Arm, Arm]:
    """Return the cheapest arm that is not shown to be worse than the best, and the best."""
    scores = {score.arm: score for score in card.arms}

    def cost(arm: Arm) -> tuple[bool, float, float, tuple[int, int]]:
        score = scores[arm]
        money = score.spending.cost if score.spending else None
        return arm.by_model, money or 0.0, score.median_s, cost_order(arm)

    best = min(usable, key=lambda arm: (-scores[arm].primary.value, cost(arm)))
    vote = card.best_of("vote")
    for arm in sorted(usable, key=cost):
        if arm.how == "vote" and arm != vote:
            continue
        if arm == best or shown_sign(card, card.compare(best, arm)) <= 0:
            return arm, best
    return best, best


def _verdict_on(card: RunScores, model: str) -> ModelVerdict:
    """Say whether exemplars help a model, and which of its arms to use."""
    usable = [arm for arm in _arms(card) if arm.model == model and arm.is_answerer]
    chosen = _cheapest(card, usable)[0] if usable else None
    few_shot, zero = (card.best_of(how, model) for how in ("retrieved", "zero-shot"))
    found = card.compare(few_shot, zero) if few_shot and zero else None
    if few_shot is None or found is None:
        missing = "exemplars" if zero else "no exemplars"
        text = f"{model} was not asked with {missing}, so whether they help it is not known"
        return ModelVerdict(
            name=model, helps="unknown", arm=chosen, few_shot=few_shot, comparison=None, text=text
        )
    value, low, high = points_text(card, found)
    level = f"{card.document['settings']['confidence']:.0%} CI"
    how = f"{shots_text(few_shot)}{mode_text(few_shot)}"
    span = f"({level} {low} to {high}, {how})"
    helps: Helps
    sign = shown_sign(card, found)
    if sign > 0:
        helps, said = "yes", f"exemplars help {model}: they add {value}{unit_of(card)} {span}"
    elif sign < 0:
        helps, said = "harm", f"exemplars harm {model}: they cost {value[1:]}{unit_of(card)} {span}"
    else:
        helps = "no"
        said = f"no help of exemplars is shown for {model}: {value}{unit_of(card)} {span}"
    return ModelVerdict(
        name=model, helps=helps, arm=chosen, few_shot=few_shot, comparison=found, text=said
    )


def _sentence(card: RunScores, chosen: Arm, models: tuple[ModelVerdict, ...]) -> str:
    """Return the verdict's text: what to use, whom exemplars help, what else was, the doubts."""
    parts = [f"use {words_for(chosen)}: {value_text(card, chosen)}{beside_chance(card, chosen)}"]
    parts += [model.text for model in models]
    for model in card.models:
        best = card.best_of_model(model)
        if best is not None and model != chosen.model:
            found = compared_text(card, card.compare(best, chosen), words_for(chosen))
            parts.append(f"{words_for(best)} {found}")
    vote, probe, majority = (card.best_of(how) for how in ("vote", "probe", "majority"))
    if vote and vote != chosen:
        found = compared_text(card, card.compare(vote, chosen), words_for(chosen))
        parts.append(f"{words_for(vote)} {found}")
    if probe and vote:
        found = compared_text(card, card.compare(probe, vote), "the vote")
        parts.append(f"a linear probe {found}")
    if majority and chosen != majority and shown_sign(card, card.compare(chosen, majority)) <= 0:
        parts.append("but nothing is shown to beat the most frequent answer")
    return "; ".join([*parts, *doubts(card, chosen)])
