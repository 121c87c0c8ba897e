"""Whether a process keeps something of each event that it has handled."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# What allocators and caches take and give back without anything being kept.
_TOLERATED_SHARE = 0.02
_TOLERATED_KB = 2048


@dataclass(frozen=True)
class Sample:
    """What a process held when everything had been delivered.

    Attributes:
        events: that it had handled by then.
        rss_kb: memory of the process, in kilobytes.
        blocks: that Python's allocator had given out.
        outbox_bytes: the size of the outbox's files; 0 for who has none.
    """

    events: int
    rss_kb: int
    blocks: int
    outbox_bytes: int = 0


@dataclass(frozen=True)
class Growth:
    """How a process has grown from the second fifth of the events to the last.

    Attributes:
        early_kb: the median of its memory in the second fifth, in kilobytes: by then
            everything has been done once.
        late_kb: the same in the last fifth.
        grown_kb: from a tenth of the events to the end, in kilobytes.
        grown_kb_per_1000: the same for a thousand events.
        blocks_per_1000: by how many of the allocator's blocks it has grown then.
        outbox_bytes: the size of the outbox's files at the largest.
    """

    early_kb: float
    late_kb: float
    grown_kb: int
    grown_kb_per_1000: float
    blocks_per_1000: float
    outbox_bytes: int

    @property
    def is_flat(self) -> bool:
        """Tell whether it has grown by no more than 2 %, or 2 MB."""
        tolerated_kb = max(_TOLERATED_KB, self.early_kb * _TOLERATED_SHARE)
        return self.late_kb <= self.early_kb + tolerated_kb


def growth_of(samples: Sequence[Sample]) -> Growth:
    """Tell how a process has grown.

    Args:
        samples: at least five, in order, at equal distances.

    Raises:
        ValueError: there are fewer.
    """
    fifth = len(samples) // 5
    if not fifth:
        raise ValueError("Growth can't be told from fewer than five samples")
    total = samples[-1].events
    begin = next(sample for sample in samples if sample.events * 10 >= total)
    end = samples[-1]
    thousands = (end.events - begin.events) / 1000
    return Growth(
        early_kb=median(sample.rss_kb for sample in samples[fifth : 2 * fifth]),
        late_kb=median(sample.rss_kb for sample in samples[-fifth:]),
        grown_kb=end.rss_kb - begin.rss_kb,
        grown_kb_per_1000=(end.rss_kb - begin.rss_kb) / thousands,
        blocks_per_1000=(end.blocks - begin.blocks) / thousands,
        outbox_bytes=max(sample.outbox_bytes for sample in samples),
    )
