"""The quality gate of scans: eight recordings with known events, of which five are given."""

from dataclasses import replace

import pytest
from benchmarks.scan_bed import TARGETS, make_recording
from benchmarks.scan_quality import GATE_SNR_DB, Bed

from earful.model import load_embedder, step_embedder
from earful.rag.scan import ScanSettings

LEAST_F1 = 0.70
MOST_FALSE_PER_HOUR = 40.0


@pytest.fixture(scope="module")
def bed() -> Bed:
    embedder = step_embedder(load_embedder("earful-small"))
    return Bed((make_recording(label, GATE_SNR_DB) for label in TARGETS), embedder)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_events_are_found_at_5_db_and_few_are_invented(bed: Bed) -> None:
    own = bed.in_own_recording(GATE_SNR_DB, ScanSettings())
    false_per_hour = bed.false_per_hour(ScanSettings())
    print(
        f"\nF1 {own['f1']:.3f}; recall of clips heard before {own['recall_heard']:.2f}, of new "
        f"ones {own['recall_new']:.2f}; {false_per_hour:.1f} false events an hour"
    )
    assert own["f1"] >= LEAST_F1
    assert false_per_hour <= MOST_FALSE_PER_HOUR
    # The gate is one: a threshold that lets everything through would not pass it.
    assert bed.false_per_hour(replace(ScanSettings(), threshold=0.1)) > MOST_FALSE_PER_HOUR
