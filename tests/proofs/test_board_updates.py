"""The power cuts of an update in a short form: the board runs one version, whole."""

from proofs.board_updates import cut_updates


async def test_power_cut_while_a_board_is_updated_leaves_one_whole_version() -> None:
    findings = await cut_updates(every=9)
    assert findings.flaws == []
    assert findings.cuts > 70
    assert set(findings.operations) == {"kept", "taken_back"}
    assert min(findings.operations.values()) > 150
