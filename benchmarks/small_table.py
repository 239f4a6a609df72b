"""The table of few-shot accuracy on labels never trained on, as ``small_model`` prints it."""

from __future__ import annotations

from typing import Any

_FORMER_VOTE = "the former vote"
"""Title of the vote in results from before ``earful-small`` and label means: of the seven nearest
exemplars, by ``earful-tiny``."""
CONTROLS = ("zero-shot", "random shots", "shuffled labels", "swapped audio")


def few_shot_table(results: dict[str, Any]) -> str:
    """Return the table in Markdown, with what each row was measured on below it.

    Args:
        results: What ``small_model`` wrote.
    """
    encoder, asked = results["few-shot"], results["flamingo"]
    settings = list(encoder)
    rows = [["chance", *(f"{encoder[setting]['chance']:.1%}" for setting in settings)]]
    rows += [
        [arm, *(interval_cell(encoder[setting]["arms"].get(arm)) for setting in settings)]
        for arm in encoder[settings[0]]["arms"]
    ]
    rows.append(
        [
            "`earful-tiny` less `aisfx`, vote",
            *(interval_cell(encoder[setting]["gain over aisfx, vote"]) for setting in settings),
        ]
    )
    arms = ["Flamingo, real names", "Flamingo, nonce names"]
    arms += [f"Flamingo, {control}" for control in CONTROLS]
    vote = results.get("vote", _FORMER_VOTE)
    for arm, title in [("vote", vote), *((arm, arm) for arm in arms)]:
        rows.append(
            [title, *(interval_cell(asked[setting]["arms"].get(arm)) for setting in settings)]
        )
    rows += [
        [
            f"{arm}, less {vote}",
            *(interval_cell(asked[setting]["less vote"].get(arm)) for setting in settings),
        ]
        for arm in arms[:2]
    ]
    mixed = [asked[setting]["blend"] for setting in settings]
    rows.append(["blend, as `classify`", *(interval_cell(part["arms"]["blend"]) for part in mixed)])
    told = [part["less vote"]["blend"] for part in mixed]
    rows.append([f"blend, less {vote}", *map(interval_cell, told)])
    table = markdown_table(["arm", *settings], rows)
    pool = results["pool"]
    n_asked = ", ".join(f"{asked[setting]['n']:,}" for setting in settings)
    n_mixed = ", ".join(f"{part['n']:,}" for part in mixed)
    return (
        f"{table}\n\n{pool['clips']} clips of {pool['labels']} held-out labels from "
        f"{pool['sources']} sources. Questions a setting: {encoder[settings[0]]['n']:,}, and "
        f"every clip of the pool; of these the Flamingo was asked the first {n_asked}, the "
        f"blend the first {n_mixed}."
    )


def interval_cell(interval: list[float] | None) -> str:
    """Write a mean with its interval; nothing for an arm that was not measured."""
    if interval is None:
        return ""
    mean, low, high = interval
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Lay out cells in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
