"""Episodes, weights to begin with, and a training small enough to run here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.flamingo import wording
from training.flamingo.episodes import Corpus, Episode, Episodes, Sound
from training.flamingo.model import initialise, read_axes, sizes
from training.flamingo.train import Batches, Plan, collate, train

from earful.model import ClipRef, Prompt, Text
from earful.model.flamingo import (
    Control,
    Flamingo,
    FlamingoTokenizer,
    render_continuation,
    render_prompt,
)
from earful.model.tiny import read_part, read_release

DIM = 32
LABELS = ("bell", "door", "dog", "drum", "oboe", "rain", "siren", "whistle", "wind")


@pytest.fixture(scope="module")
def tokenizer() -> FlamingoTokenizer:
    return FlamingoTokenizer.from_bytes(read_part(read_release(), "tokenizer"), source="tiny")


def made_up(seed: int, scatter_seed: int = 0) -> Corpus:
    """Return sounds of every label: a point of its own, and a little scatter."""
    rng, scatter = np.random.default_rng(seed), np.random.default_rng([7, scatter_seed])
    sounds = []
    for label in LABELS:
        point = rng.standard_normal(DIM)
        for number in range(4):
            window = point + 0.2 * scatter.standard_normal((1, DIM))
            sounds.append(
                Sound(
                    label=label,
                    coarse="some",
                    caption=f"A {label} is heard.",
                    group=f"group {number % 2}",
                    views=((window / np.linalg.norm(window)).astype(np.float32),),
                )
            )
    return Corpus(sounds)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return made_up(0)


@pytest.fixture(scope="module")
def words(tokenizer: FlamingoTokenizer) -> list[str]:
    pieces = (tokenizer.decode([token]) for token in range(260, 1500))
    return [piece for piece in pieces if piece.isalpha() and piece.islower()]


@pytest.fixture(scope="module")
def episodes(corpus: Corpus, tokenizer: FlamingoTokenizer, words: list[str]) -> Episodes:
    return Episodes(corpus, tokenizer, words, windows_per_audio=2)


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


def test_only_the_axes_that_are_read_are_rotated(
    episodes: Episodes, tokenizer: FlamingoTokenizer
) -> None:
    model = small(tokenizer)
    n_axes = read_axes(model.config)
    assert 0 < n_axes < DIM
    plan = Plan(steps=1, batch=8, dense=1.0, feature_noise=0.0)
    heard = torch.cat([draw_features(episodes, model, plan, step) for step in range(6)])
    known = torch.from_numpy(np.concatenate([s.views[0] for s in episodes.corpus.sounds]))
    known = known / known.norm(dim=1, keepdim=True)
    left, inside = known[:, n_axes:], known[:, :n_axes]
    heard = heard / heard.norm(dim=1, keepdim=True)
    nearest = torch.cdist(heard[:, n_axes:], left).min(dim=1)
    assert nearest.values.max() < 1e-3
    moved = (heard[:, :n_axes] - inside[nearest.indices]).norm(dim=1)
    same = inside[nearest.indices].norm(dim=1) - heard[:, :n_axes].norm(dim=1)
    assert same.abs().max() < 1e-3
    assert 0.5 < (moved > 0.1).float().mean() < 1.0


def draw_features(episodes: Episodes, model: Flamingo, plan: Plan, step: int) -> torch.Tensor:
    batch, _ = Batches(episodes, model, plan).draw(step)
    return batch.features[batch.window_mask > 0]


def test_a_head_of_the_first_layer_looks_at_the_token_before() -> None:
    config = sizes(4096, audio_dim=DIM)
    model = Flamingo(config).eval()
    initialise(model, torch.Generator().manual_seed(0))
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
        sizes(tokenizer.vocab_size, audio_dim=DIM, hidden_dim=48, n_layers=2), windows_per_audio=2
    )
    model = Flamingo(config)
    initialise(model, torch.Generator().manual_seed(0))
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
    corpus = episodes.corpus
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
@pytest.mark.timeout(300)
def test_a_short_training_teaches_names_and_keeps_to_the_exemplars(
    episodes: Episodes, tokenizer: FlamingoTokenizer, words: list[str], tmp_path: Path
) -> None:
    config = replace(
        sizes(tokenizer.vocab_size, audio_dim=DIM, hidden_dim=128, n_layers=2), windows_per_audio=2
    )
    model = Flamingo(config).eval()
    initialise(model, torch.Generator().manual_seed(0))
    again = Episodes(made_up(0, 1), tokenizer, words, windows_per_audio=2)
    never = Episodes(made_up(1), tokenizer, words, windows_per_audio=2)
    untrained = naming_accuracy(model, again, tokenizer, permuted=False)
    plan = Plan(
        steps=280,
        batch=16,
        dense=0.2,
        unshown=0.5,
        warm_up=50,
        rate=1e-3,
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
