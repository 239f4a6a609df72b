"""Our metrics of events against the packages ``sed_eval`` and ``sed_scores_eval``, on 1,000 lists.

Needs an environment of its own, so it runs only when asked to:

    EARFUL_PARITY=1 pytest tests/parity/test_sed_eval.py -s

``EARFUL_PARITY_SED_ENV`` names the folder of that environment; it is made where it lacks.
``EARFUL_WRITE_GOLDEN=1`` writes what they say of the first twenty to
``tests/golden/sed_metrics.json``, which a fast test reads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.event_lists import draw_list, our_counts

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "sed_metrics.json"
N_LISTS, N_GOLDEN = 1000, 20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("EARFUL_PARITY"), reason="set EARFUL_PARITY=1 to make its environment"
    ),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def their_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chosen = os.environ.get("EARFUL_PARITY_SED_ENV")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("sed") / "env"
    environment = {**os.environ, "PYTHON": os.environ.get("PYTHON", sys.executable)}
    subprocess.run([HERE / "make_sed_environment.sh", folder], check=True, env=environment)
    return folder / "bin" / "python"


def test_a_thousand_lists_are_counted_as_the_packages_do(
    tmp_path: Path, their_python: Path
) -> None:
    lists = [draw_list(seed) for seed in range(N_LISTS)]
    (tmp_path / "lists.json").write_text(json.dumps(lists), encoding="utf-8")
    command: list[str | Path] = [their_python, HERE / "count_with_sed_eval.py"]
    subprocess.run([*command, tmp_path / "lists.json", tmp_path / "counts.json"], check=True)
    theirs = json.loads((tmp_path / "counts.json").read_text(encoding="utf-8"))
    if os.environ.get("EARFUL_WRITE_GOLDEN"):
        rows = ",\n".join(json.dumps(said) for said in theirs[:N_GOLDEN])
        GOLDEN.write_text(f"[{rows}]\n", encoding="utf-8")
    ours = [our_counts(one) for one in lists]
    differing = [seed for seed in range(N_LISTS) if ours[seed] != theirs[seed]]
    print(f"\n{N_LISTS} lists: {len(differing)} counted otherwise")
    assert differing == []
