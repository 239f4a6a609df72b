"""Stretch that stands out: where in a clip its sound is, by what is above the clip's background."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from earful.index.annotations import Annotation
from earful.model.encoders import overview_db
from earful.wording import counted

STANDS_OUT_DB: Final = 10.0
"""A step stands out whose loudest bands are on average so far above the background."""

Clips = dict[str, tuple[Annotation, ...]]

# A sound fills some of the bands: those of a step that are furthest above.
_LOUDEST_BANDS = 6
# The background is what is there for a quarter of the clip at least.
_BACKGROUND_SHARE = 0.25
_SWING_SHARE, _SWINGS = 0.4, 4
_MOST_SHARE = 0.7
_FEWEST_STEPS = 8
_JOIN_STEPS = 2


def find_stretch(levels: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Find the stretch of a clip that stands out from the clip's own background.

    Of several, apart by more than two steps, it is the one with most energy above the background.

    Args:
        levels: Its overview, shape ``(n_steps, 48)``.

    Returns:
        Its first step, and the one behind its last; ``None`` for a clip of fewer than eight steps,
        one in which nothing stands out, and one that is mostly sound.

    >>> levels = np.full((10, 48), 60, np.uint8)
    >>> levels[4:6, 20:30] = 120
    >>> find_stretch(levels), find_stretch(levels[:6])
    ((4, 6), None)
    """
    n_steps = len(levels)
    if n_steps < _FEWEST_STEPS:
        return None
    db = overview_db(levels)
    # Half a step of the last one may be padding.
    ordered = np.sort(db, axis=0)
    background = ordered[int(_BACKGROUND_SHARE * n_steps)]
    # A background that goes up and down, as wind does, has to be left further below.
    swing = _SWINGS * (ordered[int(_SWING_SHARE * n_steps)] - background)
    above = np.sort(db - background - swing, axis=1)[:, -_LOUDEST_BANDS:].mean(axis=1)
    loud = np.flatnonzero(above > STANDS_OUT_DB)
    if not loud.size or loud.size > _MOST_SHARE * n_steps:
        return None
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > _JOIN_STEPS + 1) + 1)
    energy = np.maximum(10 ** (db / 10) - 10 ** (background / 10), 0.0).sum(axis=1)
    best = max(runs, key=lambda run: float(energy[run[0] : run[-1] + 1].sum()))
    return int(best[0]), int(best[-1]) + 1


def narrow_clips(
    clips: Mapping[str, Sequence[Annotation]],
    overview_of: Callable[[str], NDArray[np.uint8]],
    step_s: float,
) -> tuple[Clips, list[str]]:
    """Narrow what is marked in whole clips to the stretch that stands out from the rest.

    A label stays as it is where nothing stands out in half of its clips or more: what sounds all
    the time is not the padding of what comes once.

    Args:
        clips: What is marked in each clip, all of it from beginning to end.
        overview_of: Gives the overview of a clip.
        step_s: Length of a step of these overviews, in seconds.

    Returns:
        What is marked in the clips that were narrowed, and a note of them.
    """
    stretches: dict[str, tuple[float, float]] = {}
    silent: set[str] = set()
    n_clips: Counter[str] = Counter()
    n_standing: Counter[str] = Counter()
    for key, marked in clips.items():
        labels = {one.label for one in marked if one.polarity == "positive"}
        n_clips.update(labels)
        levels = overview_of(key)
        found = find_stretch(levels) if labels else None
        if found is not None:
            if not np.sort(levels, axis=0)[int(_BACKGROUND_SHARE * len(levels))].any():
                silent.add(key)
            n_standing.update(labels)
            stretches[key] = (round(found[0] * step_s, 3), round(found[1] * step_s, 3))
    narrowed: Clips = {}
    for key, (start_s, end_s) in stretches.items():
        own = tuple(
            replace(one, start_s=start_s, end_s=min(end_s, one.end_s))
            if one.polarity == "positive" and 2 * n_standing[one.label] > n_clips[one.label]
            else one
            for one in clips[key]
        )
        if own != tuple(clips[key]):
            narrowed[key] = own
    if not narrowed:
        return {}, []
    first = next(one for one in next(iter(narrowed.values())) if one.polarity == "positive")
    n_others = len(narrowed) - 1
    others = f", and so of {counted(n_others, 'other clip')}" if n_others else ""
    notes = [
        f"took {first.start_s:.1f} to {first.end_s:.1f} s of {first.recording}, which stands out"
        f"{others}; examples.csv has all stretches, and --whole-clips takes clips whole"
    ]
    if n_silent := len(silent & narrowed.keys()):
        notes.append(
            f"{counted(n_silent, 'clip is', 'clips are')} padded with digital silence: examples so "
            "clean resemble each other more than anything in a recording, which makes scores low; "
            "if little is found, lower --threshold to 0.2, or mark events in a recording"
        )
    return narrowed, notes
