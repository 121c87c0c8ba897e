"""No reading is lost in a long time of faults and kills."""

from .prove import prove


def test_no_reading_that_was_written_is_lost_by_faults_and_kills() -> None:
    verdict = prove("soak", "--minutes", "0.2", "--seed", "1", timeout_s=180)
    assert verdict["holds"] is True
    assert verdict["lost"] == 0
    assert verdict["kills"] >= 1
    at_risk = verdict["sent_within_a_commit_interval_of_a_kill"]
    assert verdict["sent"] == verdict["delivered"] + verdict["superseded"] + at_risk
