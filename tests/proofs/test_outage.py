"""The outage in a short form: what has waited drains, and nothing is lost."""

from .prove import prove


def test_readings_that_waited_for_the_server_all_arrive_with_their_times() -> None:
    verdict = prove("outage", "--readings", "20000", timeout_s=120)
    assert verdict["lost"] == 0
    assert verdict["delivered"] == verdict["sent"] == 20_000
    assert (verdict["mistimed"], verdict["duplicated"]) == (0, 0)
    assert 0 < verdict["outbox_bytes_per_reading"] < 100
    assert verdict["readings_per_s"] > 0
