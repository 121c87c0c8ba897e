"""Whatever fails, alone or one after the other, no reading is lost."""

from .prove import prove

_CELLS = (
    "token:reset_after_commit",
    "token:http_429+stopped",
    "token:refused+slow_commit",
    "account:stopped",
    "account:refused+http_503",
    "account:slow_commit+reset_after_commit",
    "account:html_200+truncated_chunk",
)


def test_no_reading_is_lost_by_faults_and_pairs_of_them() -> None:
    verdict = prove("faults", *(f"--cell={cell}" for cell in _CELLS), timeout_s=180)
    assert verdict["holds"] is True
    assert verdict["cells"] == len(_CELLS)
    assert verdict["faults"] == 12
    assert verdict["lost"] == 0
    assert verdict["sent"] == verdict["delivered"] + verdict["superseded"]
    assert 0 < verdict["duplicated"] <= verdict["possible_duplicates"]
