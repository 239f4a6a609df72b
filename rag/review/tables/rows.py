"""Rows of an index that labels make, or change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from earful.errors import ReviewError
from earful.index.corpus import Exemplar, own_answer
from earful.index.labels import Label, moment_text
from earful.wording import quoted

if TYPE_CHECKING:
    from earful.index.storage import Row

ROW_PREFIX: Final = "review/"
"""How the id of a row begins that a label made."""

_BEFORE = "labels_before"
_MARKS = ("reviewer", "reviewed_at")


def label_row(id_: str, label: Label, audio: PurePosixPath) -> Exemplar:
    """Return the row of a label."""
    own = (label.label,)
    return Exemplar(
        id=id_,
        audio=audio,
        start_s=label.start_s,
        end_s=label.end_s,
        labels=own if label.polarity == "positive" else (),
        not_labels=own if label.polarity == "negative" else (),
        group=label.recording,
        meta=_meta(label),
    )


def _meta(label: Label) -> dict[str, str]:
    texts = {
        "reviewer": label.reviewer,
        "reviewed_at": "" if label.at is None else moment_text(label.at),
        "source": label.source,
        "detector": label.detector,
        "score": "" if label.score is None else f"{label.score:g}",
    }
    return {name: text for name, text in texts.items() if text}


def holds_label(row: Row, label: Label) -> bool:
    """Whether a row holds the audio of a label."""
    return (row.exemplar.start_s, row.exemplar.end_s) == (label.start_s, label.end_s) and (
        label.recording_sha256 in ("", row.file_sha256)
    )


def require_unreviewed(exemplar: Exemplar, *, is_removed: bool = False) -> None:
    """Refuse to change by hand what a label says: the next commit would say it again.

    Args:
        exemplar: A row of an index.
        is_removed: Whether it is to go. One that a label has only changed may.

    Raises:
        ReviewError: A label made the row, or has changed it.
    """
    is_changed = _BEFORE in exemplar.meta and not is_removed
    if exemplar.id.startswith(ROW_PREFIX) or is_changed:
        raise ReviewError(
            f"row {quoted(exemplar.id)}: says what a reviewer said, and the next commit would say "
            "it again; expected a row that no label has made or changed; take the label back in "
            "Review, or by `earful labels undo`"
        )


def relabelled(exemplar: Exemplar, label: Label | None) -> Exemplar:
    """Return a row of the index as a label says, without one as it was.

    A positive takes the place of the label that was guessed; a negative moves from ``labels`` to
    ``not_labels``.
    """
    meta = dict(exemplar.meta)
    before = json.loads(meta.pop(_BEFORE, "null")) or {
        "labels": list(exemplar.labels),
        "not_labels": list(exemplar.not_labels),
        "answer": exemplar.answer,
        "meta": {name: meta[name] for name in _MARKS if name in meta},
    }
    for name in _MARKS:
        meta.pop(name, None)
    meta |= before["meta"]
    labels, not_labels = list(before["labels"]), list(before["not_labels"])
    if label is not None:
        wrong = label.label if label.polarity == "negative" else label.guess
        place = labels.index(wrong) if wrong in labels else len(labels)
        labels = [one for one in labels if one not in (wrong, label.label)]
        not_labels = [one for one in not_labels if one != label.label]
        if label.polarity == "positive":
            labels.insert(min(place, len(labels)), label.label)
        else:
            not_labels.append(label.label)
        meta |= {_BEFORE: json.dumps(before, ensure_ascii=False)}
        meta |= {name: text for name, text in _meta(label).items() if name in _MARKS}
    return replace(
        exemplar,
        labels=tuple(labels),
        not_labels=tuple(not_labels),
        answer=own_answer(before["answer"], before["labels"]),
        meta=meta,
    )
