"""Each step on a board's way to its server in a short form: it recovers from all."""

from .prove import prove


def test_board_recovers_from_every_step_that_hangs_or_fails() -> None:
    verdict = prove("board-radio", "--ways", "http", "mqtts", timeout_s=180)
    assert verdict["lost"] == 0
    assert verdict["faults"] == 36
    assert verdict["sent"] >= verdict["delivered"] >= 36
    assert verdict["longest_to_notice_s"] < verdict["stated_s"]
    assert verdict["longest_to_recover_s"] < verdict["stated_s"]
