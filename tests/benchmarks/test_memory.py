"""What Home Assistant's process holds does not depend on how much has gone through it."""

import argparse

from benchmarks.steady import memory

from .running import lines_of

# Caches take and give back some hundreds, and coverage keeps some thousands where it is
# measured; one of each event would be eight thousand.
_TOLERATED_BLOCKS = 4000


def test_ten_thousand_delivered_readings_hold_no_more_blocks_than_two_thousand() -> (
    None
):
    *samples, last = lines_of(
        *("memory", "--modes", "account", "--sensors", "20"),
        *("--events", "10000", "--step", "2000"),
    )
    assert [sample["events"] for sample in samples] == [2000, 4000, 6000, 8000, 10_000]
    assert samples[-1]["blocks"] - samples[0]["blocks"] < _TOLERATED_BLOCKS
    assert last["medians"]["account"]["lost"] == 0
    assert 0 < last["medians"]["account"]["outbox_bytes"] < 5_000_000


def test_too_few_pieces_to_judge_by_are_refused_before_anything_runs() -> None:
    assert memory.run(argparse.Namespace(events=4999, step=1000)) == 2
