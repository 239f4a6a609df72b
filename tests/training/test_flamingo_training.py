"""Episodes, weights to begin with, and a training small enough to run here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.flamingo import wording
from training.flamingo.episodes import Episode, Episodes
from training.flamingo.label_slots import MOST_SHOWN, LabelSlots, draw_slots, ranked
from training.flamingo.model import initialise, read_axes, sizes
from training.flamingo.perceptron import (
    Perceptron,
    collate_slots,
    fit_perceptron,
    linear_scores,
)
from training.flamingo.progress import Probe, answer_slots, fit_blend
from training.flamingo.sounds import Corpus, Sound
from training.flamingo.train import Batches, Plan, collate, train

from earful.model import ClipRef, Prompt, Text
from earful.model.flamingo import (
    Control,
    Flamingo,
    FlamingoTokenizer,
    render_continuation,
    render_prompt,
)
from earful.model.runtime import read_part
from earful.model.small import N_CHANNELS, N_DESCRIPTORS
from earful.model.tiny import read_release

DIM = 32
HALVES = (12, 20)
LABELS = ("bell", "door", "dog", "drum", "oboe", "rain", "siren", "whistle", "wind")


@pytest.fixture(scope="module")
def tokenizer() -> FlamingoTokenizer:
    return FlamingoTokenizer.from_bytes(read_part(read_release(), "tokenizer"), source="tiny")


def unit(row: np.ndarray) -> np.ndarray:
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def made_up(seed: int, scatter_seed: int = 0) -> Corpus:
    """Return sounds of every label: a point of its own, and a little scatter."""
    rng, scatter = np.random.default_rng(seed), np.random.default_rng([7, scatter_seed])
    sounds = []
    for label in LABELS:
        point, gait = rng.standard_normal(DIM), rng.standard_normal(N_DESCRIPTORS)
        for number in range(4):
            vector = unit(point + 0.4 * scatter.standard_normal(DIM))
            heard = scatter.standard_normal(len(LABELS)) + 2.0 * (np.array(LABELS) == label)
            sounds.append(
                Sound(
                    label=label,
                    coarse="some",
                    caption=f"A {label} is heard.",
                    group=f"group {number % 2}",
                    vector=vector,
                    apart=vector,
                    acoustics=unit(gait + scatter.standard_normal(N_DESCRIPTORS)),
                    heard=dict(zip(LABELS, heard.tolist(), strict=True)),
                )
            )
    return Corpus(sounds, frozenset(LABELS))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return made_up(0)


@pytest.fixture(scope="module")
def words(tokenizer: FlamingoTokenizer) -> list[str]:
    pieces = (tokenizer.decode([token]) for token in range(260, 1500))
    return [piece for piece in pieces if piece.isalpha() and piece.islower()]


@pytest.fixture(scope="module")
def episodes(corpus: Corpus, tokenizer: FlamingoTokenizer, words: list[str]) -> Episodes:
    return Episodes([corpus], tokenizer, words, windows_per_audio=2)


def learned(episode: Episode, tokenizer: FlamingoTokenizer) -> list[str]:
    """Return the answers that are learned, in words."""
    texts = [""]
    end = tokenizer.id_of(Control.END_OF_CHUNK)
    for target in episode.targets:
        if target == end:
            texts.append("")
        elif target >= 0:
            texts[-1] += tokenizer.decode([target])
    return texts[:-1]


def test_an_episode_is_the_prompt_that_the_product_writes(
    episodes: Episodes, corpus: Corpus, tokenizer: FlamingoTokenizer
) -> None:
    dog, door = corpus.by_label["dog"], corpus.by_label["door"]
    shots = [(dog[0], "Rex"), (door[0], "Tor")]
    episode = episodes.classify(shots, dog[1], "Rex", "What is it?")
    clip = ClipRef(audio=Path("x.wav"))
    opening = f"{wording.SIMILAR}{wording.OPENINGS['classify']}"
    parts: list[Text | ClipRef] = [Text(kind="system", text=opening)]
    for _, name in shots:
        parts += [
            clip,
            Text(kind="exemplar", text="What is it?"),
            Text(kind="exemplar", text=name, is_answer=True),
        ]
    prompt = Prompt(parts=(*parts, clip, Text(kind="user", text="What is it?")))
    asked = tokenizer.encode(render_prompt(prompt, style="brief"))
    answer = tokenizer.encode(render_continuation("Rex", style="brief"))[1:]
    assert episode.ids == asked + answer
    assert episode.prompt_length == len(asked)
    assert learned(episode, tokenizer) == ["rex", "tor", "rex"]
    # Every target is the token that stands one further on.
    for place, target in enumerate(episode.targets):
        assert target in (-100, episode.ids[place + 1] if place + 1 < len(episode.ids) else -100)


def test_a_name_without_meaning_is_learned_only_once_it_was_told(
    episodes: Episodes, tokenizer: FlamingoTokenizer
) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        episode = episodes.draw_nonce(6, rng, simple=True)
        names = episode.shown
        again = [name for place, name in enumerate(names) if name in names[:place]]
        assert learned(episode, tokenizer) == again
        assert episode.answer == names[-1]
        assert names[-1] in names[:-1]


@pytest.mark.parametrize("n_shots", range(8))
def test_every_kind_of_episode_fits_its_places(
    episodes: Episodes, tokenizer: FlamingoTokenizer, n_shots: int
) -> None:
    for seed in range(60):
        episode = episodes.draw(n_shots, np.random.default_rng(seed))
        n_places = episode.ids.count(tokenizer.id_of(Control.AUDIO))
        assert n_places == len(episode.audios) == n_shots + 1
        assert all(1 <= len(audio) <= 2 for audio in episode.audios)
        assert learned(episode, tokenizer)[-1].strip() == episode.answer.strip().lower()
        same = episodes.draw(n_shots, np.random.default_rng(seed))
        assert (same.ids, same.targets) == (episode.ids, episode.targets)


def test_labels_are_shown_as_retrieval_ranks_them(corpus: Corpus) -> None:
    rng = np.random.default_rng(2)
    kinds = set()
    for _ in range(200):
        slots = draw_slots(corpus, rng)
        assert slots.names[slots.right] == slots.query.label
        assert 1 <= len(slots.names) == len(set(slots.names)) <= MOST_SHOWN
        assert (np.diff(slots.scores) >= 0).all()
        kinds |= {(slots.heard is not None, None in slots.acoustics)}
        assert len(slots.features()) == len(slots.names)
    # Some labels have a name alone.
    assert (True, True) in kinds


def test_a_hand_worked_ranking(corpus: Corpus) -> None:
    query, other = corpus.by_label["dog"][:2]
    bell = corpus.by_label["bell"]
    slots = ranked(query, ["dog", "bell"], [[other], bell[:2]], known=True)
    assert slots is not None
    dog, two = query.apart @ other.apart, [float(query.apart @ x.apart) for x in bell[:2]]
    sharpness = 0.5 / 0.15  # three exemplars are too few to say how alike they are
    means = {"dog": dog, "bell": np.log(np.exp(sharpness * np.array(two)).mean()) / sharpness}
    told = dict(zip(slots.names, slots.similarities, strict=True))
    assert told == pytest.approx(means, abs=1e-5)
    scores = [told[name] + 0.1 * query.heard[name] for name in slots.names]
    assert slots.scores == pytest.approx(scores, abs=1e-5)
    assert slots.without_names().scores == pytest.approx(list(slots.similarities), abs=1e-5)
    alone = ranked(query, ["dog", "bell"], [[], []], known=True)
    assert alone is not None
    assert alone.acoustics == (None, None)


def test_vectors_are_turned_in_most_lessons_and_evidence_never(
    episodes: Episodes, tokenizer: FlamingoTokenizer
) -> None:
    plan = Plan(steps=1, batch=8, labels=0.0, dense=1.0, feature_noise=0.0)
    heard = torch.cat([draw_features(episodes, small(tokenizer), plan, step) for step in range(6)])
    known = torch.from_numpy(np.stack([s.vector for s in episodes.corpora[0].sounds]))
    nearest = torch.cdist(heard[:, :DIM] / 4, known).min(dim=1).values
    assert 0.6 < (nearest > 0.1).float().mean() < 1.0
    assert torch.allclose(heard[:, :DIM].norm(dim=1), torch.tensor(4.0), atol=1e-4)
    scattered = replace(plan, feature_noise=0.5)
    again = torch.cat(
        [draw_features(episodes, small(tokenizer), scattered, step) for step in range(6)]
    )
    torch.testing.assert_close(again[:, DIM:], heard[:, DIM:])
    assert (again[:, :DIM] - heard[:, :DIM]).abs().max() > 0.1


def draw_features(episodes: Episodes, model: Flamingo, plan: Plan, step: int) -> torch.Tensor:
    batch, _ = Batches(episodes, model, plan).draw(step)
    return batch.features[batch.window_mask > 0]


def test_some_axes_of_each_half_and_every_channel_are_read() -> None:
    config = sizes(4096, dim=384)
    read = read_axes(config, (128, 256))
    assert read == [*range(32), *range(128, 160), *range(384, 384 + N_CHANNELS)]


def begun(tokenizer: FlamingoTokenizer, perceptron: Perceptron | None = None) -> Flamingo:
    """Return a network of the shipped width before any training."""
    model = Flamingo(replace(sizes(tokenizer.vocab_size, dim=DIM), windows_per_audio=2)).eval()
    initialise(model, torch.Generator().manual_seed(0), HALVES, perceptron)
    return model


@pytest.mark.slow
def test_an_untrained_network_answers_as_the_rule_does(
    episodes: Episodes, corpus: Corpus, tokenizer: FlamingoTokenizer
) -> None:
    rng = np.random.default_rng(3)
    asked: list[LabelSlots] = []
    while len(asked) < 100:
        slots = draw_slots(corpus, rng)
        if len(slots.names) >= 3 and None not in slots.acoustics:
            asked.append(slots)
    agreed = 0
    for slots, said in zip(asked, answer_slots(begun(tokenizer), episodes, asked), strict=True):
        weighed = slots.scores + 0.15 * np.array(slots.acoustics, dtype=np.float64)
        agreed += int(np.argmax(said)) == int(np.argmax(weighed))
    assert agreed >= 93


@pytest.mark.slow
def test_a_network_begins_with_a_fitted_perceptron(
    episodes: Episodes, corpus: Corpus, tokenizer: FlamingoTokenizer
) -> None:
    perceptron = fit_perceptron([corpus], n_questions=800, steps=150)
    rng = np.random.default_rng(4)
    asked = [
        slots for slots in (draw_slots(corpus, rng) for _ in range(200)) if len(slots.names) > 2
    ]
    channels, there, right = collate_slots(asked)

    def best(scores: torch.Tensor) -> torch.Tensor:
        return scores.masked_fill(~there, -1e9).argmax(dim=1)

    weighed = best(perceptron.scores(channels))
    # It was fitted to such questions, so it answers them no worse than the plain sum.
    plain = (best(linear_scores(channels)) == right).float().mean()
    assert (weighed == right).float().mean() >= plain - 0.02
    found = answer_slots(begun(tokenizer, perceptron), episodes, asked)
    said = torch.tensor([int(np.argmax(scores)) for scores in found])
    assert float((said == weighed).float().mean()) > 0.9


@pytest.mark.slow
def test_the_blend_is_fitted_to_questions_about_training_labels(
    episodes: Episodes, corpus: Corpus, tokenizer: FlamingoTokenizer
) -> None:
    model = begun(tokenizer)
    probe = Probe({"train": [corpus]}, episodes, n_episodes=30)
    measured = probe(model)
    assert measured["train 5w1s"] > 0.6
    weight, temperature = fit_blend(model, probe)
    share = weight / ((1 - weight) * temperature)
    right = {}
    for name, own in (("both", share), ("rule", 0.0)):
        right[name] = 0
        for setting in ("5w1s", "5w4s", "20w4s"):
            for slots, said in zip(*probe.scores(model, f"train {setting}"), strict=True):
                right[name] += int(np.argmax(slots.scores / 0.1 + own * said)) == slots.right
    assert right["both"] >= right["rule"]


def test_a_head_of_the_first_layer_looks_at_the_token_before() -> None:
    config = sizes(4096, dim=DIM)
    model = Flamingo(config).eval()
    initialise(model, torch.Generator().manual_seed(0), HALVES)
    positions = torch.arange(40)[None]
    ids = torch.randint(3, 4000, (1, 40), generator=torch.Generator().manual_seed(1))
    layer = model.decoder.layers[0]
    with torch.inference_mode():
        x = model.decoder.embed_tokens(ids) + model.decoder.embed_positions(positions + 2)
        normed = layer.get_submodule("self_attention_norm")(x)
        head_dim = config.hidden_dim // config.n_heads
        q, k = (
            layer.get_submodule(f"self_attention.{name}")(normed)[0, :, :head_dim]
            for name in ("q", "k")
        )
        scores = (q @ k.T / head_dim**0.5).masked_fill(torch.ones(40, 40).triu(1).bool(), -1e9)
    assert scores.softmax(dim=-1).diagonal(-1).mean() > 0.9


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(steps=6, batch=4, warm_up=2, rate=1e-3)


def small(tokenizer: FlamingoTokenizer) -> Flamingo:
    config = replace(
        sizes(tokenizer.vocab_size, dim=DIM, hidden_dim=64, n_layers=2), windows_per_audio=2
    )
    model = Flamingo(config)
    initialise(model, torch.Generator().manual_seed(0), HALVES)
    return model


def test_a_training_goes_on_where_it_was_stopped(
    episodes: Episodes, tokenizer: FlamingoTokenizer, plan: Plan, tmp_path: Path
) -> None:
    device = torch.device("cpu")
    whole = small(tokenizer)
    (tmp_path / "whole").mkdir()
    train(whole, Batches(episodes, whole, plan), plan, tmp_path / "whole", device=device, every=3)

    class StoppedError(Exception):
        pass

    class Stopping(Batches):
        def draw(self, step: int):  # type: ignore[no-untyped-def]
            if step == 4:
                raise StoppedError
            return super().draw(step)

    part = small(tokenizer)
    (tmp_path / "part").mkdir()
    with pytest.raises(StoppedError):
        train(part, Stopping(episodes, part, plan), plan, tmp_path / "part", device=device, every=3)
    again = small(tokenizer)
    curve = train(
        again, Batches(episodes, again, plan), plan, tmp_path / "part", device=device, every=3
    )
    assert [row["step"] for row in curve] == [3, 6]
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)
    other = replace(plan, seed=1)
    batches = Batches(episodes, again, other)
    with pytest.raises(SystemExit, match="another plan"):
        train(again, batches, other, tmp_path / "part", device=device)


def first_words(
    model: Flamingo, asked: list[Episode], tokenizer: FlamingoTokenizer
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first token that the model answers, and the wanted one."""
    batch, targets = collate(asked, 2, model.config.pad_id)
    with torch.inference_mode():
        logits = model(batch.ids, batch.attention_mask, batch.features, batch.window_mask)
    rows = torch.arange(len(asked))
    ends = torch.tensor([episode.prompt_length - 1 for episode in asked])
    return logits[rows, ends].argmax(-1), targets[rows, ends]


def few_shot_accuracy(
    model: Flamingo,
    episodes: Episodes,
    tokenizer: FlamingoTokenizer,
    *,
    permuted: bool,
) -> float:
    """Ask 150 four-way one-shot questions; ``permuted`` deals out the shots' audios anew."""
    rng = np.random.default_rng(99)
    asked: list[Episode] = []
    while len(asked) < 150:
        episode = episodes.draw_nonce(4, rng, simple=True)
        if len(set(episode.shown)) == 4:  # four names, each told once: a blind guess is 1 in 4
            first, *others = episode.audios[:4]
            shots = [*others, first] if permuted else [first, *others]
            asked.append(replace(episode, audios=[*shots, episode.audios[4]]))
    said, wanted = first_words(model, asked, tokenizer)
    return float((said == wanted).float().mean())


def naming_accuracy(
    model: Flamingo, episodes: Episodes, tokenizer: FlamingoTokenizer, *, permuted: bool
) -> float:
    """Ask for the names of sounds without an exemplar; ``permuted`` exchanges the sounds."""
    (corpus,) = episodes.corpora
    asked = [
        episodes.classify([], sound, sound.label, "Classify this sound.") for sound in corpus.sounds
    ]
    if permuted:
        audios = [episode.audios for episode in asked]
        turned = [*audios[4:], *audios[:4]]  # every label has four sounds
        asked = [replace(x, audios=own) for x, own in zip(asked, turned, strict=True)]
    said, wanted = first_words(model, asked, tokenizer)
    return float((said == wanted).float().mean())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_short_training_teaches_names_and_keeps_to_the_exemplars(
    episodes: Episodes, tokenizer: FlamingoTokenizer, words: list[str], tmp_path: Path
) -> None:
    config = replace(
        sizes(tokenizer.vocab_size, dim=DIM, hidden_dim=128, n_layers=2), windows_per_audio=2
    )
    model = Flamingo(config).eval()
    initialise(model, torch.Generator().manual_seed(0), HALVES)
    again = Episodes([made_up(0, 1)], tokenizer, words, windows_per_audio=2)
    never = Episodes([made_up(1)], tokenizer, words, windows_per_audio=2)
    untrained = naming_accuracy(model, again, tokenizer, permuted=False)
    plan = Plan(
        steps=280,
        batch=16,
        labels=0.05,
        dense=0.1,
        unshown=0.8,
        warm_up=50,
        rate=2e-3,
        # Too few steps for words to be told apart at a tenth of the rate.
        embedding_share=1.0,
    )
    batches = Batches(episodes, model, plan)
    train(model, batches, plan, tmp_path, device=torch.device("cpu"), every=1000)
    model.eval()
    names = [naming_accuracy(model, again, tokenizer, permuted=x) for x in (False, True)]
    shots = [few_shot_accuracy(model, never, tokenizer, permuted=x) for x in (False, True)]
    print(untrained, names, shots)
    # Names of the sounds trained on, from recordings that were not: chance is one in nine.
    assert untrained < 0.2
    assert names[0] > 0.6
    assert names[1] < 0.1
    # Sounds never trained on, by names drawn anew for every question: chance is one in four.
    assert shots[0] > 0.7
    assert shots[1] < 0.1
