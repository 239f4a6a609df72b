"""Training prompts for the small Flamingo: episodes drawn from a corpus of embedded sounds.

An episode is what the model is asked once: some shots and a question, or a dialogue, in the
very template of ``model/flamingo/prompt_format``. In most of those that tell labels apart the
space of vectors is rotated at random, so that it cannot be learned by heart which sound is which,
and in many the names mean nothing and are drawn anew: both are what makes a small model learn to
read its context. In the others names and space are the real ones, from which it learns words for
sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from training.flamingo import wording
from training.flamingo.label_slots import LabelSlots, draw_slots
from training.flamingo.sounds import Corpus, Sound

from earful.model import ClipRef, Prompt, Text
from earful.model.flamingo import (
    Control,
    FlamingoTokenizer,
    Segment,
    render_continuation,
    render_prompt,
)
from earful.model.small import STYLE, channels, features_of_clip, likeness

Features = NDArray[np.float32]
_PLACE = ClipRef(audio=Path("clip.wav"))
_NO_TARGET = -100
_ONE_TOKEN = 2  # with the one that begins every text
_N_SIMPLE = 300
_N_ROTATIONS = 32
_SEED = 0
_MOST_WAYS = 5
_CLASSIFIED = 0.75
"""Share of classifications among episodes with shots."""
_ROTATED = 0.9
"""Share of episodes in rotated space among those whose names mean nothing."""
_RENAMED = 0.9
"""Share of those that tell labels apart whose names mean nothing."""
_UNNAMED = 0.3
"""Share of them in which nothing is known of the names."""
_MOST_WORDY = 3
"""Shots of sentences; with more, prompts are long and teach little more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A prompt with its answers, as tokens and features.

    Attributes:
        ids: Token ids.
        targets: For each position the token to predict there, or -100.
        audios: Features of its audios, each ``(1 to W, dim)``.
        answer: The last answer, in words.
        names: What could have been answered.
        shown: The answer that goes with each audio, for a classification; else empty.
        prompt_length: Tokens before the last answer.
    """

    ids: list[int]
    targets: list[int]
    audios: list[Features]
    answer: str
    names: tuple[str, ...]
    shown: tuple[str, ...]
    prompt_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """An episode in words; ``told`` says which answers are learned, the last one always."""

    prompt: Prompt
    answer: str
    audios: list[Features]
    told: list[bool]
    names: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()


class Episodes:
    """Draws episodes.

    Args:
        corpora: Their sounds; those of one episode are of one of them.
        tokenizer: Their vocabulary.
        words: For names that mean nothing.
        windows_per_audio: W.
        nonce: Share of episodes whose names mean nothing.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        tokenizer: FlamingoTokenizer,
        words: Sequence[str],
        *,
        windows_per_audio: int,
        nonce: float = 0.6,
    ) -> None:
        self.corpora = corpora
        self._tokenizer = tokenizer
        self._words = words
        self._width = windows_per_audio
        self._nonce = nonce
        self._tokens: dict[str, list[int]] = {}
        one_token = (word for word in words if len(tokenizer.encode([word])) == _ONE_TOKEN)
        self._simple = list(islice(one_token, _N_SIMPLE))
        dim = len(corpora[0].sounds[0].vector)
        drawn = np.random.default_rng(_SEED).standard_normal((_N_ROTATIONS, dim, dim))
        self._rotations = np.linalg.qr(drawn)[0].astype(np.float32)

    def draw(self, n_shots: int, rng: np.random.Generator) -> Episode:
        """Draw an episode with so many recordings as shots, 0 to 7."""
        corpus = self._pick(rng)
        kind = rng.random()
        if not n_shots:
            draft = self._without_shots(corpus, kind, rng)
        elif (kind := kind * _CLASSIFIED if n_shots > _MOST_WORDY else kind) < self._nonce:
            draft = self._classify(corpus, n_shots, rng, nonce=True)
        elif kind < _CLASSIFIED:
            draft = self._classify(corpus, n_shots, rng, nonce=False)
        elif kind < 0.88:
            draft = self._yes_or_no(corpus, n_shots, rng)
        else:
            draft = self._caption(corpus, n_shots, rng)
        return self.encode(draft)

    def draw_labels(self, rng: np.random.Generator) -> Episode:
        """Draw a classification by labels, each with a slot of its own, as retrieval ranks them."""
        corpus = self._pick(rng)
        slots = draw_slots(corpus, rng)
        names = slots.names
        # What a name says stands in the evidence; what it is called must say nothing, or the
        # network learns by heart which names are answers.
        if rng.random() < _RENAMED:
            names = tuple(wording.nonce_names(self._words, len(names), rng))
        if rng.random() < _UNNAMED:
            slots = slots.without_names()
        question = wording.CLASSIFY[int(rng.integers(len(wording.CLASSIFY)))]
        return self.by_slots(slots, names, question, turn=self._turn(rng))

    def by_slots(
        self,
        slots: LabelSlots,
        names: Sequence[str],
        question: str,
        turn: Features | None = None,
    ) -> Episode:
        """Write a given classification by labels.

        Args:
            slots: Labels and what speaks for them, best last.
            names: What they are called.
            question: About the sound.
            turn: Rotation of the query's vector.
        """
        query = slots.query.vector if turn is None else turn @ slots.query.vector
        audios = [*slots.features(), features_of_clip(query[None], channels(is_query=True))]
        answer = names[slots.right]
        return self.encode(
            _Draft(
                prompt=self._prompt("classify", question, names, similar=True),
                answer=answer,
                audios=audios,
                # Which label is the query's is all that there is to learn: nothing says a name
                # before it was told.
                told=[False] * len(names),
                names=tuple(names),
                shown=(*names, answer),
            )
        )

    def _without_shots(self, corpus: Corpus, kind: float, rng: np.random.Generator) -> _Draft:
        if kind < 0.3:
            return self._classify(corpus, 0, rng, nonce=False)
        if kind < 0.4:
            return self._yes_or_no(corpus, 0, rng)
        if kind < 0.55:
            return self._caption(corpus, 0, rng)
        return self._ask(corpus, rng) if kind < 0.75 else self._dialogue(corpus, rng)

    def draw_nonce(self, n_shots: int, rng: np.random.Generator, *, simple: bool) -> Episode:
        """Draw a classification of two to five names that mean nothing.

        Args:
            n_shots: So many that most names come more than once, which is when they teach.
            rng: Decides.
            simple: Whether names are one token.
        """
        n_ways = min(int(rng.integers(2, _MOST_WAYS + 1)), n_shots)
        corpus = self._pick(rng)
        return self.encode(
            self._classify(corpus, n_shots, rng, nonce=True, simple=simple, n_ways=n_ways)
        )

    def classify(
        self, shots: Sequence[tuple[Sound, str]], query: Sound, answer: str, question: str
    ) -> Episode:
        """Write a given classification: shots in their order, each with its name."""
        names = tuple(dict.fromkeys([*(name for _, name in shots), answer]))
        prompt = self._prompt("classify", question, [name for _, name in shots], similar=True)
        audios = self._hear([sound for sound, _ in shots], query)
        return self.encode(
            _Draft(
                prompt=prompt,
                answer=answer,
                audios=audios,
                told=[True] * len(shots),
                names=names,
                shown=(*(name for _, name in shots), answer),
            )
        )

    def simple_names(self, n: int, rng: np.random.Generator) -> list[str]:
        """Draw distinct names that mean nothing, each of one token."""
        return [str(name) for name in rng.choice(self._simple, n, replace=False)]

    def first_token(self, answer: str) -> int:
        """Return the token that an answer begins with."""
        return self._ids(render_continuation(answer, style=STYLE)[0])[0]

    def encode(self, draft: _Draft) -> Episode:
        """Turn words into tokens, with a target wherever an answer is learned."""
        ids = [self._tokenizer.id_of(Control.END_OF_TEXT)]
        targets = [_NO_TARGET]
        is_dialogue = draft.prompt.is_dialogue
        end = render_continuation(draft.answer, style=STYLE, is_dialogue=is_dialogue)
        answers = iter([*draft.told, True])
        learned = answering = False
        start = 0
        for segment in (*render_prompt(draft.prompt, style=STYLE), *end):
            own = self._ids(segment)
            # The position before a token predicts it.
            for token in own:
                targets[-1] = token if answering and learned else _NO_TARGET
                ids.append(token)
                targets.append(_NO_TARGET)
            if segment is Control.SEPARATOR:
                answering, learned, start = True, next(answers), len(ids)
            elif segment is Control.END_OF_CHUNK:
                answering = False
        return Episode(
            ids=ids,
            targets=targets,
            audios=draft.audios,
            answer=draft.answer,
            names=draft.names,
            shown=draft.shown,
            prompt_length=start,
        )

    # --- kinds ----------------------------------------------------------------------

    def _classify(
        self,
        corpus: Corpus,
        n_shots: int,
        rng: np.random.Generator,
        *,
        nonce: bool,
        simple: bool = False,
        n_ways: int = 0,
    ) -> _Draft:
        labels, shots, query = self._few_shot(corpus, n_shots, rng, n_ways)
        if simple:
            names = dict(zip(labels, self.simple_names(len(labels), rng), strict=True))
        elif nonce:
            mixed = rng.random() < 0.15
            fresh = (
                [str(x) for x in rng.permutation(labels)]  # true names on wrong sounds
                if mixed and len(labels) > 1
                else wording.nonce_names(self._words, len(labels), rng)
            )
            names = dict(zip(labels, fresh, strict=True))
        else:
            names = {label: label for label in labels}
        answers = [names[sound.label] for sound in shots]
        question = wording.CLASSIFY[int(rng.integers(len(wording.CLASSIFY)))]
        seen: set[str] = set()
        told = []
        for answer in answers:
            # A name that means nothing cannot be known before it was told.
            told.append(not nonce or answer in seen)
            seen.add(answer)
        return _Draft(
            prompt=self._prompt("classify", question, answers, similar=rng.random() < 0.7),
            answer=names[query.label],
            audios=self._hear(shots, query, self._turn(rng) if nonce else None),
            told=told,
            names=tuple(names.values()),
            shown=(*answers, names[query.label]),
        )

    def _few_shot(
        self, corpus: Corpus, n_shots: int, rng: np.random.Generator, n_ways: int = 0
    ) -> tuple[list[str], list[Sound], Sound]:
        """Draw labels, shots and a query; the query's label is among the shots'.

        With a number of ways all are drawn at random, equally often; without, some shots are
        those that retrieval would choose.
        """
        wanted = corpus.labels[int(rng.integers(len(corpus.labels)))]
        query, same = corpus.pair(wanted, rng)
        if not n_shots:
            return [wanted], [], query
        if not n_ways and rng.random() < 0.4:
            shots = self._retrieved(corpus, query, same, n_shots, rng)
        else:
            n_ways = n_ways or int(rng.integers(1 if n_shots < 3 else 2, n_shots + 1))
            others = [label for label in corpus.labels if label != wanted]
            ways = [wanted, *rng.choice(others, min(n_ways - 1, len(others)), replace=False)]
            shots = []
            for number in range(n_shots):
                label = str(ways[number % len(ways)])
                pool = same if label == wanted else corpus.by_label[label]
                shots.append(pool[int(rng.integers(len(pool)))])
            shots = [shots[int(i)] for i in rng.permutation(n_shots)]
        return list(dict.fromkeys([*(sound.label for sound in shots)])), shots, query

    def _retrieved(
        self,
        corpus: Corpus,
        query: Sound,
        same: Sequence[Sound],
        n_shots: int,
        rng: np.random.Generator,
    ) -> list[Sound]:
        """Take the nearest of a pool that holds the query's label, nearest last."""
        pool = [same[int(i)] for i in rng.permutation(len(same))[: int(rng.integers(1, 6))]]
        nearest_same = pool[0]
        sounds = corpus.sounds
        drawn = [sounds[int(i)] for i in rng.integers(len(sounds), size=int(rng.integers(8, 60)))]
        pool += [sound for sound in drawn if sound.label != query.label]
        vectors = np.stack([sound.apart for sound in pool])
        ranked = np.argsort(-(vectors @ query.apart), kind="stable")
        shots = [pool[int(i)] for i in ranked[:n_shots]]
        if all(sound.label != query.label for sound in shots):
            shots[-1] = nearest_same
        return shots if rng.random() < 0.3 else shots[::-1]

    def _yes_or_no(self, corpus: Corpus, n_shots: int, rng: np.random.Generator) -> _Draft:
        labels, shots, query = self._few_shot(corpus, n_shots, rng)
        asked = query.label if rng.random() < 0.5 else self._other(corpus, query.label, labels, rng)
        nonce = bool(n_shots) and rng.random() < 0.4 and any(x.label == asked for x in shots)
        name = wording.nonce_names(self._words, 1, rng)[0] if nonce else wording.with_article(asked)
        pattern = wording.IS_THERE[int(rng.integers(len(wording.IS_THERE)))]
        question = f"{wording.ASKING}{pattern.format(name=name)}{wording.YES_OR_NO}"
        answers = ["yes" if sound.label == asked else "no" for sound in shots]
        return _Draft(
            prompt=self._prompt("ask", question, answers, similar=rng.random() < 0.7),
            answer="yes" if query.label == asked else "no",
            audios=self._hear(shots, query, self._turn(rng) if nonce else None),
            told=[not nonce or number > 1 for number in range(n_shots)],
            names=("yes", "no"),
        )

    def _caption(self, corpus: Corpus, n_shots: int, rng: np.random.Generator) -> _Draft:
        _, shots, query = self._few_shot(corpus, n_shots, rng)
        question = wording.DESCRIBE[int(rng.integers(len(wording.DESCRIBE)))]
        captions = [sound.caption for sound in shots]
        return _Draft(
            prompt=self._prompt("caption", question, captions, similar=True),
            answer=query.caption,
            audios=self._hear(shots, query),
            told=[True] * n_shots,
        )

    def _ask(self, corpus: Corpus, rng: np.random.Generator) -> _Draft:
        question, answer, audio = self._question(corpus, rng)
        return _Draft(
            prompt=self._prompt("ask", f"{wording.ASKING}{question}", [], similar=True),
            answer=answer,
            audios=[audio],
            told=[],
        )

    def _dialogue(self, corpus: Corpus, rng: np.random.Generator) -> _Draft:
        """Ask two to five things about one recording."""
        composed = rng.random() < 0.4
        sounds = self._some(corpus, rng) if composed else [self._some(corpus, rng)[0]]
        turns: list[tuple[str, str]] = []
        for _ in range(int(rng.integers(2, 6))):
            question, answer = self._about(corpus, sounds, rng)
            if question not in {asked for asked, _ in turns}:
                turns.append((question, answer))
        words: list[Text | ClipRef] = [
            Text(kind="system", text=wording.OPENINGS["dialogue"]),
            _PLACE,
        ]
        for question, answer in turns[:-1]:
            words += [Text(kind="user", text=question), Text(kind="assistant", text=answer)]
        words.append(Text(kind="user", text=turns[-1][0]))
        return _Draft(
            prompt=Prompt(parts=tuple(words), is_dialogue=True),
            answer=turns[-1][1],
            audios=[self._join(sounds)],
            told=[True] * (len(turns) - 1),
        )

    def _question(self, corpus: Corpus, rng: np.random.Generator) -> tuple[str, str, Features]:
        sounds = self._some(corpus, rng) if rng.random() < 0.6 else [self._some(corpus, rng)[0]]
        question, answer = self._about(corpus, sounds, rng)
        return question, answer, self._join(sounds)

    def _about(
        self, corpus: Corpus, sounds: Sequence[Sound], rng: np.random.Generator
    ) -> tuple[str, str]:
        """Ask something about a recording of one or more sounds; answer in lower case."""

        def pick(texts: Sequence[str]) -> str:
            return texts[int(rng.integers(len(texts)))]

        kind = rng.random()
        if kind < 0.2:
            return pick(wording.HOW_MANY), wording.NUMBERS[len(sounds) - 1]
        if len(sounds) == 1:
            (sound,) = sounds
            if kind < 0.4:
                return pick(wording.WHAT), sound.label
            if kind < 0.55:
                return pick(wording.WHAT_KIND), sound.coarse
            if kind < 0.7:
                return pick(wording.DESCRIBE), sound.caption.lower()
        elif kind < 0.4:
            return pick(wording.FIRST), sounds[0].label
        elif kind < 0.6:
            return pick(wording.LAST), sounds[-1].label
        elif kind < 0.7 and len(sounds) == 2:
            same = sounds[0].label == sounds[1].label
            return pick(wording.SAME), "yes" if same else "no"
        there = {sound.label for sound in sounds}
        asked = (
            pick(sorted(there))
            if rng.random() < 0.5
            else self._other(corpus, sounds[0].label, (), rng)
        )
        pattern = pick(wording.IS_THERE)
        question = pattern.format(name=wording.with_article(asked))
        return question[0].upper() + question[1:], "yes" if asked in there else "no"

    # --- pieces ---------------------------------------------------------------------

    def _some(self, corpus: Corpus, rng: np.random.Generator) -> list[Sound]:
        """Draw two to four sounds; two are of one label now and then."""
        n = int(rng.integers(2, 5))
        labels = [str(x) for x in rng.choice(corpus.labels, n)]
        if n == 2 and rng.random() < 0.4:
            labels[1] = labels[0]
        found = []
        for label in labels:
            pool = corpus.by_label[label]
            found.append(pool[int(rng.integers(len(pool)))])
        return found

    def _join(self, sounds: Sequence[Sound]) -> Features:
        """Return the features of a recording of sounds one after the other."""
        vectors = np.stack([sound.vector for sound in sounds])[: self._width]
        return features_of_clip(vectors, channels(is_query=True))

    def _hear(
        self, shots: Sequence[Sound], query: Sound, turn: Features | None = None
    ) -> list[Features]:
        """Return the features of shots and query, their vectors rotated or as they are."""
        heard = []
        for sound in shots:
            own = channels(
                similarity=float(sound.apart @ query.apart),
                acoustics=likeness(sound.acoustics[None], query.acoustics),
            )
            heard.append((sound, own))
        heard.append((query, channels(is_query=True)))
        return [
            features_of_clip((sound.vector if turn is None else turn @ sound.vector)[None], own)
            for sound, own in heard
        ]

    def _turn(self, rng: np.random.Generator) -> Features | None:
        """Draw a rotation of the space of vectors, or now and then none."""
        if rng.random() >= _ROTATED:
            return None
        turn: Features = self._rotations[int(rng.integers(len(self._rotations)))]
        return turn

    def _pick(self, rng: np.random.Generator) -> Corpus:
        return self.corpora[int(rng.integers(len(self.corpora)))]

    def _other(
        self, corpus: Corpus, label: str, among: Sequence[str], rng: np.random.Generator
    ) -> str:
        near = [x for x in among if x != label]
        pool = near if near and rng.random() < 0.6 else corpus.labels
        while (found := pool[int(rng.integers(len(pool)))]) == label:
            pass
        return found

    def _prompt(self, kind: str, question: str, answers: Sequence[str], *, similar: bool) -> Prompt:
        how = (wording.SIMILAR if similar else wording.RANDOM) if answers else ""
        parts: list[Text | ClipRef] = [Text(kind="system", text=how + wording.OPENINGS[kind])]
        for answer in answers:
            parts += [
                _PLACE,
                Text(kind="exemplar", text=question),
                Text(kind="exemplar", text=answer, is_answer=True),
            ]
        return Prompt(parts=(*parts, _PLACE, Text(kind="user", text=question)))

    def _ids(self, segment: Segment) -> list[int]:
        if isinstance(segment, Control):
            return [self._tokenizer.id_of(segment)]
        if segment not in self._tokens:
            if len(self._tokens) > 100_000:
                self._tokens.clear()
            self._tokens[segment] = self._tokenizer.encode([segment])[1:]
        return self._tokens[segment]
