"""The network: features of single recordings, a prompt read once, and answers scored behind it.

Every recording is encoded alone. What it says then depends on nothing beside it in a prompt, also
in families whose encoders pad all recordings of a call to the longest; and an exemplar is encoded
once, however many prompts show it. A prompt is read with these features in place of its audio
tokens, and what it shares with others once for all of them (``prefixes``); answers are scored on
copies of what was read, several at a time.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earful.errors import ModelError
from earful.model.hub_models.families import Family
from earful.model.hub_models.reading.prefixes import (
    KeptPrefixes,
    Reading,
    cache_bytes,
    prefix_keys,
)
from earful.model.hub_models.reading.rendered import Rendered
from earful.model.protocols import GenerationOptions
from earful.model.writing import Sampler

BUDGET_BYTES: Final = 2 << 30
"""Memory for copies of what was read, while answers are scored."""


class _HeardEnough(Exception):  # noqa: N818  # nothing went wrong
    """Ends a forward pass once the embedded recording was seen."""


class HubNetwork:
    """A model of ``transformers``, asked for log-probabilities.

    Args:
        model: In evaluation mode, on its device.
        family: Its family.
        audio_id: Id of its audio token.
        name: Its name, for errors.

    Attributes:
        batches_answers: Whether answers are scored several at a time.
        reuses_prompt: Whether answers are scored on copies of what was read.
        keeps_prefixes: Whether prompts are read in parts, which are kept for others.
        kept: These parts.
        token_bytes: What a token takes in memory once it was read, in bytes; 0 before any was.
        most_alike: Length up to which tokens are read alike, whatever their number.
    """

    def __init__(self, model: Any, family: Family, *, audio_id: int, name: str) -> None:
        self.model = model
        self.family = family
        self.audio_id = audio_id
        self.name = name
        self.batches_answers = True
        self.reuses_prompt = True
        self.keeps_prefixes = True
        self.kept = KeptPrefixes()
        self.token_bytes = 0
        self.most_alike = _most_alike(model.config)
        try:
            self._decoder: torch.nn.Module = model.get_submodule(family.decoder)
        except AttributeError as error:
            raise ModelError(
                f"{name}: has no part {family.decoder!r}; this release of transformers builds "
                f"{family.title} in another way: pip install 'earful[hub-models]' brings one that "
                "fits"
            ) from error
        self._embeddings = model.get_input_embeddings().weight
        # Hooks are the model's, not a call's.
        self._lock = threading.RLock()

    @property
    def device(self) -> torch.device:
        """Where ids belong."""
        place: torch.device = self._embeddings.device
        return place

    @property
    def dtype(self) -> torch.dtype:
        """Type of what is computed with."""
        kind: torch.dtype = self._embeddings.dtype
        return kind

    @property
    def budget_bytes(self) -> int:
        """Memory for copies of what was read, in bytes."""
        return BUDGET_BYTES

    # --- recordings ------------------------------------------------------------------

    def encode(self, inputs: dict[str, Any]) -> NDArray[np.float32]:
        """Return the features of the one recording in a processor's inputs.

        Returns:
            float32, shape ``(n_tokens, width)``: what stands in place of its audio tokens.
        """
        seen: list[Tensor] = []
        is_audio = inputs["input_ids"][0] == self.audio_id

        def look(embedded: Tensor) -> Tensor:
            seen.append(embedded[0, is_audio.to(embedded.device)].float().cpu())
            raise _HeardEnough

        with self._embedded(look), torch.inference_mode():
            try:
                self.model(**self._placed(inputs), use_cache=False)
            except _HeardEnough:
                return np.asarray(seen[0].numpy())
        raise ModelError(f"{self.name}: {self.family.decoder!r} was not reached")

    # --- prompts ---------------------------------------------------------------------

    def read(self, prompt: Rendered, features: NDArray[np.float32]) -> Reading:
        """Read a prompt, from the longest beginning of it on that was kept.

        Args:
            prompt: Its ids.
            features: float32, shape ``(n_audio_tokens, width)``: of its recordings, in order.
        """
        if not self.keeps_prefixes or prompt.n_tokens > self.most_alike:
            return self._read_part(None, prompt, features, prompt.n_tokens)
        try:
            return self._read_from_kept(prompt, features)
        except torch.OutOfMemoryError:
            if not len(self.kept):
                raise
        # Outside of the handler, whose traceback holds on to what was computed.
        self.kept.clear()
        return self._read_from_kept(prompt, features)

    def _read_from_kept(self, prompt: Rendered, features: NDArray[np.float32]) -> Reading:
        ends = sorted({*prompt.cuts, prompt.n_tokens})
        keys = prefix_keys(prompt.ids, prompt.is_audio, features, ends)
        kept = self.kept.longest(keys)
        first, reading = (0, None) if kept is None else (kept[0] + 1, kept[1])
        found: list[tuple[str, Reading]] = []
        for key, end in zip(keys[first:], ends[first:], strict=True):
            reading = self._read_part(reading, prompt, features, end)
            if end in prompt.cuts:
                found.append((key, reading.forked()))
        self.kept.keep(found, behind=None if kept is None else keys[kept[0]])
        if reading is None:
            raise ModelError(f"{self.name}: a prompt without tokens")
        return reading

    def _read_part(
        self, before: Reading | None, prompt: Rendered, features: NDArray[np.float32], end: int
    ) -> Reading:
        """Read on to a place in a prompt."""
        start = 0 if before is None else before.n_tokens
        inputs = {
            # The mask is over all that was read, the others over what is read now.
            key: values[:, (0 if key == "attention_mask" else start) : end].to(self.device)
            for key, values in prompt.inputs.items()
        }
        is_audio = prompt.is_audio[start:end]
        n_heard = int(prompt.is_audio[:start].sum())
        heard = features[n_heard : n_heard + int(is_audio.sum())]
        cache = {} if before is None else {"cache": before.cache}
        positions = self._positions(start, end - start, 1)
        out = self.forward_heard(
            is_audio[None], heard, **inputs, **cache, **positions, use_cache=True
        )
        self.token_bytes = max(self.token_bytes, cache_bytes(out.cache) // end)
        # A copy: what is kept would else hold the logits of all tokens.
        logits = out.logits[0, -1].float().clone()
        return Reading(cache=out.cache, logits=logits, n_tokens=end)

    def score(
        self,
        prompt: Rendered,
        features: NDArray[np.float32],
        answers: Sequence[Sequence[int]],
    ) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of each answer's tokens, in order.

        Args:
            prompt: As for ``read``.
            features: As for ``read``.
            answers: Ids of each, not empty.
        """
        if not self.reuses_prompt:
            return [self.score_whole(prompt, features, answer) for answer in answers]
        reading = self.read(prompt, features)
        first = reading.logits.log_softmax(-1)
        # Long ones together, so that little of a batch is padding; the order returns at the end.
        order = sorted(range(len(answers)), key=lambda place: len(answers[place]))
        size = self._most_at_once(reading)
        found: dict[int, NDArray[np.float64]] = {}
        for start in range(0, len(order), size):
            places = order[start : start + size]
            rows = self._continue(reading, [answers[place] for place in places])
            for place, row in zip(places, rows, strict=True):
                head = first[answers[place][0]].double().cpu().numpy()
                found[place] = np.concatenate([head[None], row])
        return [found[place] for place in range(len(answers))]

    def score_whole(
        self, prompt: Rendered, features: NDArray[np.float32], answer: Sequence[int]
    ) -> NDArray[np.float64]:
        """Return the log-probabilities of one answer's tokens by one pass over all of it."""
        n, added = prompt.n_tokens, len(answer)
        inputs = {
            key: torch.cat(
                [values, values.new_tensor([answer if key == "input_ids" else fill * added])], dim=1
            ).to(self.device)
            for key, values in prompt.inputs.items()
            for fill in [[int(key == "attention_mask")]]
        }
        is_audio = np.concatenate([prompt.is_audio, np.zeros(added, dtype=bool)])
        positions = self._positions(0, n + added, 1)
        out = self.forward_heard(is_audio[None], features, **inputs, **positions, use_cache=False)
        rows = out.logits[0, n - 1 : -1].float().log_softmax(-1)
        return self.picked(rows, answer)

    def ask_whole(self, inputs: dict[str, Any]) -> Tensor:
        """Return logits behind a processor's inputs, audio included, as the model alone has them.

        Returns:
            float32, shape ``(V,)``.
        """
        logits: Tensor = self.forward(**self._placed(inputs), use_cache=False).logits
        return logits[0, -1].float()

    def decode(
        self,
        prompt: Rendered,
        features: NDArray[np.float32],
        options: GenerationOptions,
        *,
        end_ids: Sequence[int],
    ) -> Iterator[tuple[int, float]]:
        """Yield tokens and their log-probabilities until one that ends an answer."""
        reading = self.read(prompt, features)
        choose = Sampler(options)
        logits = reading.logits
        for n_written in range(options.max_new_tokens):
            token = choose(logits.cpu().numpy())
            yield token, float(logits.log_softmax(-1)[token])
            if token in end_ids or n_written + 1 == options.max_new_tokens:
                return
            ids = torch.tensor([[token]], device=self.device)
            logits = self._forward(reading, reading.cache, ids, n_written)[0, -1].float()

    # --- the model -------------------------------------------------------------------

    def forward(self, **inputs: Any) -> Any:
        """Return what the model itself returns."""
        with torch.inference_mode():
            return self.model(**inputs)

    def forward_heard(
        self, is_audio: NDArray[np.bool_], features: NDArray[np.float32], **inputs: Any
    ) -> Any:
        """Return what the model itself returns, with features in place of audio tokens.

        Args:
            is_audio: bool, shape ``(n_rows, n)``: where they belong.
            features: float32, shape ``(n_audio_tokens, width)``, row after row.
            inputs: What else it takes.
        """
        with self._hearing(is_audio, features):
            return self.forward(**inputs)

    @staticmethod
    def picked(rows: Tensor, ids: Sequence[int]) -> NDArray[np.float64]:
        """Return one value of each of some rows, as float64."""
        places = torch.tensor(list(ids), device=rows.device)[:, None]
        return np.asarray(rows.gather(1, places)[:, 0].double().cpu().numpy())

    # --- internals -------------------------------------------------------------------

    def _continue(
        self, reading: Reading, answers: Sequence[Sequence[int]]
    ) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of all tokens of answers but for the first ones."""
        longest = max(map(len, answers)) - 1
        if not longest:
            return [np.zeros(0)] * len(answers)
        ids, mask = padded_answers(answers)
        cache = copy.deepcopy(reading.cache)
        if len(answers) > 1:
            cache.batch_repeat_interleave(len(answers))
        logits = self._forward(reading, cache, ids.to(self.device), 0, mask.to(self.device))
        return [
            self.picked(logits[row, : len(answer) - 1].float().log_softmax(-1), answer[1:])
            for row, answer in enumerate(answers)
        ]

    def _forward(
        self,
        reading: Reading,
        cache: Any,
        ids: Tensor,
        n_before: int,
        mask: Tensor | None = None,
    ) -> Tensor:
        n_rows, length = ids.shape
        n = reading.n_tokens + n_before
        # Over the prompt as well: a mask of the new tokens alone gives other numbers.
        seen = torch.ones((n_rows, n), dtype=torch.long, device=self.device)
        new = torch.ones_like(ids) if mask is None else mask
        logits: Tensor = self.forward(
            input_ids=ids,
            attention_mask=torch.cat([seen, new], dim=1),
            cache=cache,
            use_cache=True,
            **self._positions(n, length, n_rows),
        ).logits
        return logits

    def _positions(self, start: int, length: int, n_rows: int) -> dict[str, Tensor]:
        if not self.family.three_axes:
            return {}
        positions = torch.arange(start, start + length, device=self.device)
        return {"position_ids": positions.expand(3, n_rows, length)}

    def _most_at_once(self, reading: Reading) -> int:
        if not self.batches_answers:
            return 1
        return max(1, self.budget_bytes // max(1, cache_bytes(reading.cache)))

    def _placed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        dtype = self._embeddings.dtype
        return {
            key: values.to(self.device, dtype if values.is_floating_point() else None)
            if isinstance(values, Tensor)
            else values
            for key, values in inputs.items()
        }

    @contextmanager
    def _hearing(
        self, is_audio: NDArray[np.bool_], features: NDArray[np.float32]
    ) -> Iterator[None]:
        """Put features in place of audio tokens; ``is_audio`` has shape ``(rows, n)``."""
        place = torch.from_numpy(is_audio)
        values = torch.from_numpy(np.ascontiguousarray(features))

        def put(embedded: Tensor) -> Tensor:
            embedded = embedded.clone()
            embedded[place.to(embedded.device)] = values.to(embedded.device, embedded.dtype)
            return embedded

        with self._embedded(put):
            yield

    @contextmanager
    def _embedded(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Change the embedded tokens on their way into the decoder."""

        def hook(
            _module: torch.nn.Module, args: tuple[Any, ...], options: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if "inputs_embeds" in options:
                return args, {**options, "inputs_embeds": change(options["inputs_embeds"])}
            return (change(args[0]), *args[1:]), options

        with self._lock:
            handle = self._decoder.register_forward_pre_hook(hook, with_kwargs=True)
            try:
                yield
            finally:
                handle.remove()


def _most_alike(config: Any) -> float:
    """Return the length up to which tokens mean the same, whatever their number.

    Positions of some models are scaled in another way once a prompt is longer, those of its
    beginning as well.
    """
    stated = config.get_text_config().to_dict().get("rope_parameters") or {}
    kinds = [stated, *(kind for kind in stated.values() if isinstance(kind, dict))]
    original = getattr(config.get_text_config(), "original_max_position_embeddings", None)
    return min(
        (
            int(kind.get("original_max_position_embeddings") or original or 0)
            for kind in kinds
            if kind.get("rope_type") == "longrope"
        ),
        default=math.inf,
    )


def padded_answers(answers: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids of answers without their last tokens, and which are some.

    Args:
        answers: Token ids, one at least of each.

    Returns:
        Two tensors of int64, shape ``(n, longest - 1)``: ids, filled up with zeros on the right,
        and a mask.
    """
    ids = torch.zeros((len(answers), max(map(len, answers)) - 1), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, answer in enumerate(answers):
        ids[row, : len(answer) - 1] = torch.tensor(answer[:-1])
        mask[row, : len(answer) - 1] = 1
    return ids, mask
