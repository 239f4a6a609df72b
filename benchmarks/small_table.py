"""The table of few-shot accuracy on labels never trained on, as ``small_model`` prints it."""

from __future__ import annotations

from typing import Any

CONTROLS = ("nonce names", "zero-shot", "random shots", "shuffled labels", "swapped audio")


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
    vote = results["vote"]
    told = [asked[setting] for setting in settings]
    own = {"vote": vote, "Flamingo, real names": "the Flamingo alone", "blend": "`classify`"}
    for arm, title in own.items():
        rows.append([title, *(interval_cell(part["arms"][arm]) for part in told)])
    for arm, title in list(own.items())[1:]:
        cells = (interval_cell(part["less vote"][arm]) for part in told)
        rows.append([f"{title} less {vote}", *cells])
    for control in CONTROLS:
        arm = f"Flamingo, {control}"
        cells = (interval_cell(part["controls"]["arms"].get(arm)) for part in told)
        rows.append([f"the Flamingo alone, {control}", *cells])
    table = markdown_table(["arm", *settings], rows)
    pool = results["pool"]
    n_asked = ", ".join(f"{asked[setting]['n']:,}" for setting in settings)
    n_controls = ", ".join(f"{part['controls']['n']:,}" for part in told)
    return (
        f"{table}\n\n{pool['clips']} clips of {pool['labels']} held-out labels from "
        f"{pool['sources']} sources. Questions a setting: {encoder[settings[0]]['n']:,}, and "
        f"every clip of the pool. The Flamingo was asked {n_asked}; with other names or other "
        f"exemplars, the first {n_controls}."
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
