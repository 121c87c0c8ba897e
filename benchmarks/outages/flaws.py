"""What must not be in a run; of a peer, a loss may be: it is what was looked for."""

from .exporters import Exporter
from .judgement import Judgement


def flaws_of(
    exporter: Exporter,
    judgement: Judgement,
    *,
    changes: int,
    may_be_lost_from: float = float("inf"),
) -> list[str]:
    """Return what must not be, each a sentence.

    Args:
        exporter: whose run it was.
        judgement: what had become of the changes in the end.
        changes: how many were asked for.
        may_be_lost_from: from when on ours may lose, in seconds since 1970 (UTC).
    """
    found = []
    if len(judgement.sent) != changes:
        found.append(f"{len(judgement.sent)} changes were made instead of {changes}.")
    if exporter.mode.is_ours:
        if lost := judgement.lost_within(0, may_be_lost_from):
            found.append(f"{lost} of {len(judgement.sent)} readings were lost.")
        if judgement.mistimed and not exporter.mode.sends_newest_alone:
            found.append(f"{judgement.mistimed} readings have a false time.")
    return found
