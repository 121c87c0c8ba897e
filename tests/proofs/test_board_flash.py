"""The disturbed flashes in a short form: flashing again always helps."""

from .prove import prove

_FAULTS = ("killed", "unplugged", "flash full", "wrong login", "server away")


def test_flashing_again_helps_after_whatever_went_wrong() -> None:
    verdict = prove(
        "board-flash",
        f"--rounds={len(_FAULTS)}",
        *(f"--fault={fault}" for fault in _FAULTS),
        timeout_s=240,
    )
    assert verdict["lost"] == 0
    assert verdict["sent"] == verdict["delivered"] == 3 * len(_FAULTS)
    assert verdict["repaired"] == len(_FAULTS)
    assert verdict["by_fault"] == dict.fromkeys(_FAULTS, 1)
