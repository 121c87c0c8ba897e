"""The power cuts in a short form: what was written down is there, whatever the disk did."""

from .prove import prove


def test_power_cut_while_the_disk_is_waited_for_loses_nothing_that_was_written() -> (
    None
):
    verdict = prove("power", "--commits", "15", timeout_s=120)
    assert verdict["lost"] == 0
    assert verdict["sent"] == verdict["delivered"] > 500
    assert verdict["commits"] == 15
    assert verdict["checkpoints"] >= 3
    assert verdict["faults"] == sum(verdict["cuts"].values()) >= 75
    assert verdict["called_damaged"] == {}
