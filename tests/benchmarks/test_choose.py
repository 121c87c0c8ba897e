"""The bench of choosing still runs, and its mirrors hold what they should."""

from typing import Any

import pytest

from .running import lines_of

_ENTITIES = 50


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """Run the bench in a small house, and return what it prints."""
    return lines_of(
        "choose", "--entities", str(_ENTITIES), "--rounds", "1", "--linger", "0"
    )


def test_every_chosen_entity_is_mirrored(lines: list[dict[str, Any]]) -> None:
    """And after the storms each mirror is what its choice means by then."""
    counts = {line["choice"]: line["counts"] for line in lines if "counts" in line}
    as_it_should_be = {
        "followed": _ENTITIES,
        "captured": _ENTITIES,
        "not_as_chosen": 0,
        "not_named": 0,
        "names_changed": 0,
    }
    assert counts == {
        "label": as_it_should_be | {"delivered": _ENTITIES},
        "area": as_it_should_be,
        "pattern": as_it_should_be,
    }


def test_last_line_sums_up(lines: list[dict[str, Any]]) -> None:
    """It has each subject beside the peer that can do the same."""
    last = lines[-1]
    assert (last["bench"], last["entities"], last["rounds"]) == ("choose", 50, 1)
    assert last["is_good"] is True
    assert set(last["cannot"]) == {"target helper", "entity filter"}
    found = {
        (row["phase"], row["choice"], row["subject"]): row for row in last["medians"]
    }
    assert len(found) == len(last["medians"]) == sum("phase" in line for line in lines)
    for choice, peer in {
        "label": "target helper",
        "area": "target helper",
        "pattern": "entity filter",
    }.items():
        for phase in ("resolve once", "add", "remove"):
            for subject in ("this mirror", peer):
                assert found[phase, choice, subject]["held_ms"] > 0
        for phase in ("change", "start"):
            assert found[phase, choice, "this mirror"]["right_ms"] > 0
    for phase in ("storm, one by one", "storm, at once"):
        for subject in ("this mirror", "target helper", "nobody"):
            assert found[phase, "label", subject]["held_ms"] > 0
    assert found["deliver", "label", "this mirror"]["right_ms"] > 0
    assert found["name all", "label", "this mirror"]["held_ms"] > 0
