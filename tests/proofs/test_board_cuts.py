"""The cuts of a board's power in a short form: what was on flash comes back, and runs whole."""

from .prove import prove


def test_power_cut_at_any_operation_on_flash_loses_nothing_that_was_written() -> None:
    verdict = prove("board-cuts", "--readings", "200", "--every", "25", timeout_s=120)
    assert verdict["lost"] == 0
    assert verdict["sent"] == verdict["delivered"] > 400
    assert verdict["faults"] > 1000
    # What is done with may come again, but only a few.
    assert verdict["duplicated"] < 20
    assert verdict["dropped_for_room"] > 0
    assert verdict["cuts_of_updates"] >= 40
