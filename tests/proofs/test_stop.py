"""The proof of the stop: a Home Assistant that is told to stop leaves everything on disk."""

from .prove import prove


def test_home_assistant_that_stops_leaves_what_is_unsent_on_disk_within_a_second() -> (
    None
):
    verdict = prove("stop", "--readings", "10000", "--burst", "2000", timeout_s=300)
    assert verdict["lost"] == 0
    assert verdict["came_while_server_hung"] >= 100
    assert verdict["came_at_stop"] == 2000
    assert verdict["sent"] == 12_000 + verdict["came_while_server_hung"]
    assert verdict["on_disk"] + verdict["delivered"] >= verdict["sent"]
    assert 0 < verdict["own_share_s"] <= 1
