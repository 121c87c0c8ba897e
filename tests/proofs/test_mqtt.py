"""The proof of MQTT: a killed broker costs a real Home Assistant no reading."""

from .prove import prove


def test_killed_broker_costs_no_reading() -> None:
    verdict = prove("mqtt", "--rounds", "2", timeout_s=300)
    assert verdict["lost"] == 0
    assert verdict["mistimed"] == 0
    assert verdict["faults"] == 2
    assert verdict["sent"] > 100
    accounted = verdict["delivered"] + verdict["acknowledged_and_not_stored"]
    assert accounted == verdict["sent"]
