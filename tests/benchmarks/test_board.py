"""The bench of boards still runs, and counts right."""

from typing import Any

import pytest

from .running import lines_of


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Run the bench without a network, and return what it prints."""
    return lines_of("board", "--alone", "--sends", "5")


def test_a_reading_is_one_write(lines: list[dict[str, Any]]) -> None:
    """And the firmware's own library needs more than twenty."""
    writes = {line["subject"]: line["writes"] for line in lines if "subject" in line}
    assert writes["this port, HTTP"] == 1
    assert writes["this port, MQTT QoS 1"] == 1
    assert writes["requests (frozen)"] > 20


def test_last_line_sums_up(lines: list[dict[str, Any]]) -> None:
    """It tells what was measured from what was not."""
    last = lines[-1]
    assert last["is_good"] is True
    assert last["missing"] == {}
    assert set(last["measured"]) == {
        line["subject"] for line in lines if "subject" in line
    }
    assert not set(last["measured"]) & set(last["not_measured_here"])
    for costs in last["measured"].values():
        assert 0 < costs["import_heap"] < costs["smallest_heap"]
        assert costs["fresh_us"] > 0
    over_http = last["measured"]["this port, HTTP"]
    assert over_http["smallest_heap"] < over_http["tls_heap"]
