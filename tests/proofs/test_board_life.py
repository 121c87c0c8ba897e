"""Hours of a board's life with everything that goes wrong in a week, in moments."""

from .prove import prove


def test_board_loses_no_reading_whatever_goes_wrong() -> None:
    verdict = prove("board-life", "--days", "0.4", "--seed", "6", timeout_s=180)
    assert verdict["lost"] == 0
    assert verdict["sent"] > 400
    assert verdict["faults"] >= 5
    assert verdict["power_cuts"] >= 2
    left = verdict["sent"] - verdict["delivered"]
    assert left == sum(
        verdict[excuse]
        for excuse in ("lost_by_design", "dropped", "acknowledged_and_not_told")
    )
