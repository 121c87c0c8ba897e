"""The proof of the stop: a Home Assistant that is told to stop leaves everything on disk."""

from .prove import prove


def test_home_assistant_that_stops_leaves_what_is_unsent_on_disk() -> None:
    verdict = prove("stop", timeout_s=300)
    assert verdict["lost"] == 0
    assert verdict["came_while_server_hung"] >= 100
    assert verdict["sent"] == 10_000 + verdict["came_while_server_hung"]
    assert verdict["on_disk"] + verdict["delivered"] >= verdict["sent"]
