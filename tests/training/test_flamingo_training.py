"""Episodes, weights to begin with, and a training small enough to run here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.flamingo import wording
from training.flamingo.episodes import Corpus, Episode, Episodes, Sound, prototypes
from training.flamingo.model import initialise, sizes
from training.flamingo.train import Batches, Plan, collate, train

from earful.model.flamingo import Flamingo
from earful.model.flamingo_prompt import render_continuation, render_prompt
from earful.model.prompt import ClipRef, Prompt, Text
from earful.model.tiny_weights import read_part, read_release
from earful.model.tokenizer import Control, FlamingoTokenizer

DIM = 32
LABELS = ("bell", "door", "dog", "drum", "oboe", "rain", "siren", "whistle", "wind")


@pytest.fixture(scope="module")
def tokenizer() -> FlamingoTokenizer:
    return FlamingoTokenizer.from_bytes(read_part(read_release(), "tokenizer"), source="tiny")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    sounds = []
    for label in LABELS:
        point = rng.standard_normal(DIM)
        for number in range(4):
            window = point + 0.2 * rng.standard_normal((1, DIM))
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
def episodes(corpus: Corpus, tokenizer: FlamingoTokenizer) -> Episodes:
    pieces = (tokenizer.decode([token]) for token in range(260, 1500))
    words = [piece for piece in pieces if piece.isalpha() and piece.islower()]
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


def test_made_up_sounds_of_one_name_are_alike(episodes: Episodes) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        episode = prototypes(episodes.draw_nonce(5, rng, simple=False), 0.0, rng)
        for one, name in zip(episode.audios, episode.shown, strict=True):
            for other, another in zip(episode.audios, episode.shown, strict=True):
                cosine = float(one[0] @ other[0]) / 16.0
                assert (cosine > 0.999) == (name == another)


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
    return Plan(steps=6, batch=4, clean_steps=3, warm_up=2, rate=1e-3)


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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_training_finds_names_by_the_audio(
    episodes: Episodes, tokenizer: FlamingoTokenizer, tmp_path: Path
) -> None:
    plan = Plan(steps=450, batch=16, clean_steps=2_000, noise=0.5, warm_up=50, rate=2e-3)
    config = replace(
        sizes(tokenizer.vocab_size, audio_dim=DIM, hidden_dim=96, n_layers=2), windows_per_audio=2
    )
    model = Flamingo(config)
    initialise(model, torch.Generator().manual_seed(0))
    batches = Batches(episodes, model, plan)
    train(model, batches, plan, tmp_path, device=torch.device("cpu"), every=1000)
    model.eval()
    rng = np.random.default_rng(99)
    asked: list[Episode] = []
    while len(asked) < 100:
        episode = episodes.draw_nonce(4, rng, simple=True)
        if len(set(episode.shown)) == 4:  # four names, each told once: a blind guess is 1 in 4
            asked.append(prototypes(episode, 0.0, rng))

    def accuracy(permuted: bool) -> float:
        shown = [
            replace(episode, audios=[*episode.audios[1:4], episode.audios[0], episode.audios[4]])
            if permuted
            else episode
            for episode in asked
        ]
        batch, targets = collate(shown, 2, config.pad_id)
        with torch.inference_mode():
            logits = model(batch.ids, batch.attention_mask, batch.features, batch.window_mask)
        rows = torch.arange(len(asked))
        ends = torch.tensor([episode.prompt_length - 1 for episode in asked])
        return float((logits[rows, ends].argmax(-1) == targets[rows, ends]).float().mean())

    found, without = accuracy(permuted=False), accuracy(permuted=True)
    print(found, without)
    assert found > 0.6
    assert without < 0.3
