"""What a server says of labels when it has ended."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earful.commands.serve import describe_kept
from earful.index.labels import LabelJournal
from earful.model.audio import Clip
from earful.rag.review import commit_labels
from tests.serve.routes.conftest import SCAN, OpenServer
from tests.support.tone_recordings import ToneSteps


class Embedding(ToneSteps):
    def embed(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        return np.eye(16, dtype=np.float32)[: len(clips)]


def test_labels_and_rows_are_told_at_the_end(open_server: OpenServer, folder: Path) -> None:
    server = open_server()
    state = server.state
    journal, index = f"{folder}/{SCAN}/labels.jsonl", f"{folder}/sounds.index"
    assert describe_kept(state) == f"0 labels kept in {journal}; 0 rows of labels in {index}"
    items = server.get("/api/queue", n=3).json()["items"]
    for item, polarity in zip(items, ("positive", "negative", "skip"), strict=True):
        said = {"item": item["item"], "label": "wren", "polarity": polarity}
        assert server.post("/api/labels", **said).status_code == 201
    LabelJournal(Path(journal)).undo(3, "ana")
    commit_labels(folder / SCAN, index, embedder=Embedding())
    state.close()
    assert describe_kept(state) == f"2 labels kept in {journal}; 2 rows of labels in {index}"
