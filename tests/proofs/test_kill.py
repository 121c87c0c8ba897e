"""The kill test in a short form: a real Home Assistant is killed and loses nothing."""

from .prove import prove


def test_killed_home_assistant_loses_nothing_older_than_the_commit_interval() -> None:
    verdict = prove("kill", "--rounds", "2", timeout_s=300)
    assert verdict["lost"] == 0
    assert verdict["delivered"] == verdict["sent"] > 100
    assert verdict["mistimed"] == 0
    assert (verdict["faults"], verdict["kills_while_server_away"]) == (2, 1)
