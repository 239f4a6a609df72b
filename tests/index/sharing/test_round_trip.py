"""Push and pull through the hub's own client: the same rows arrive, and nothing else."""

from pathlib import Path

from earful.index import Index, pull_index, push_index, verify_index
from tests.support.stub_hub import StubHub


def digests(index: Index) -> dict[str, str]:
    table = index.read_table(["id", "row_sha256"])
    return dict(zip(*(table.column(n).to_pylist() for n in ("id", "row_sha256")), strict=True))


def test_what_is_pulled_has_the_rows_that_were_pushed(
    hub: StubHub, shared: Index, tmp_path: Path
) -> None:
    pushed = push_index(shared, "ada/sounds")
    assert pushed.sent
    assert pushed.revision == hub.sets["ada/sounds"].head
    assert len(hub.sets["ada/sounds"].commits) == 2  # the hub's own first one, and ours
    report = pull_index("ada/sounds", tmp_path / "pulled.index")
    assert (report.n, report.revision, report.is_new) == (5, pushed.revision, True)
    found = Index.open(report.path)
    assert digests(found) == digests(shared)
    query = shared.vectors().vectors[0]
    mine, theirs = shared.search(query, k=5), found.search(query, k=5)
    assert [(h.exemplar, h.similarity) for h in mine] == [(h.exemplar, h.similarity) for h in theirs]
    verified = verify_index(found)
    assert (verified.problems, verified.n_whole, verified.n_without_audio) == ((), 5, 5)
    assert not (report.path / ".cache").exists()
