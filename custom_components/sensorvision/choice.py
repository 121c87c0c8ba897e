"""Read what a mirror was told to mirror."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import fnmatch
import re
from typing import Any, Self

from .client.protocol import VALUE_LIMIT
from .const import (
    CONF_ATTRIBUTES,
    CONF_DELIVER_OVER,
    CONF_DIAGNOSTICS,
    CONF_DOMAINS,
    CONF_FORMED_BY,
    CONF_GLOBS,
    CONF_HEARTBEAT_MIN,
    CONF_INTERVAL_S,
    CONF_LEAVE_OUT,
    CONF_MORE,
    CONF_SENDING,
    CONF_TARGET,
    CONF_TEXTS,
    CONF_VALUES,
    CONF_WHEN,
    OVER_HTTP,
)
from .mapping import parse_number

type Target = Mapping[str, list[str]]

DEFAULT_INTERVAL_S = 60
# The server takes a device for offline that has been silent for an hour.
DEFAULT_HEARTBEAT_MIN = 30

# A pattern of entity ids: what these consist of, and shell wildcards.
_GLOB = re.compile(r"[a-z0-9_.*?\[\]!-]+")


@dataclass(frozen=True)
class Pick:
    """What picks entities.

    Attributes:
        target: entities, devices, areas, floors and labels, as Home Assistant has them.
        domains: all entities of these.
        globs: all entities whose ids match one of these shell patterns.
    """

    target: Target = field(default_factory=dict)
    domains: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether it may pick anything."""
        return bool(any(self.target.values()) or self.has_patterns)

    @property
    def has_patterns(self) -> bool:
        """Return whether it may pick entities that nobody has registered."""
        return bool(self.domains or self.globs)

    def matching(self, entity_ids: Iterable[str]) -> set[str]:
        """Return those entities that are of the domains or match a glob."""
        is_match = re.compile("|".join(map(fnmatch.translate, self.globs))).match
        return {
            entity_id
            for entity_id in entity_ids
            if entity_id.partition(".")[0] in self.domains
            or (self.globs and is_match(entity_id))
        }


class FormedBy(StrEnum):
    """What there is one SensorVision device for."""

    DEVICE = "device"
    AREA = "area"
    MIRROR = "mirror"


class When(StrEnum):
    """When an entity's number is sent."""

    CHANGE = "change"
    LIMITED = "limited"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True)
class Rhythm:
    """When numbers are sent.

    Attributes:
        when: on every change, on a change but not too often, or at fixed intervals.
        interval_s: the least time between two numbers of an entity, or between two
            snapshots, in seconds.
        heartbeat_s: how long an entity may be steady before its number is sent again,
            in seconds; 0 for ever.
    """

    when: When = When.CHANGE
    interval_s: float = DEFAULT_INTERVAL_S
    heartbeat_s: float = DEFAULT_HEARTBEAT_MIN * 60

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read a section of a subentry's data."""
        return cls(
            When(data.get(CONF_WHEN, When.CHANGE)),
            data.get(CONF_INTERVAL_S, DEFAULT_INTERVAL_S),
            data.get(CONF_HEARTBEAT_MIN, DEFAULT_HEARTBEAT_MIN) * 60,
        )


@dataclass(frozen=True)
class Choice:
    """What one mirror is told to mirror, and how.

    Attributes:
        include: what to mirror.
        leave_out: what not to mirror of it.
        with_diagnostics: whether a target's diagnostic and configuration entities and
            those found by domain or glob are mirrored too.
        attributes: whose numbers are sent too, such as `light-brightness`.
        number_by_text: what states stand for that are texts.
        formed_by: what there is one SensorVision device for.
        rhythm: when numbers are sent.
        broker_id: the subentry of the broker that they are delivered over, or None for
            the server's HTTP.
    """

    include: Pick
    leave_out: Pick = Pick()
    with_diagnostics: bool = False
    attributes: frozenset[str] = frozenset()
    number_by_text: Mapping[str, int | float] = field(default_factory=dict)
    formed_by: FormedBy = FormedBy.DEVICE
    rhythm: Rhythm = Rhythm()
    broker_id: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read a subentry's data; what an older version did not ask has its default."""
        more = data.get(CONF_MORE, {})
        leave_out = data.get(CONF_LEAVE_OUT, {})
        values = data.get(CONF_VALUES, {})
        sending = data.get(CONF_SENDING, {})
        over = sending.get(CONF_DELIVER_OVER, OVER_HTTP)
        return cls(
            include=_pick(data.get(CONF_TARGET, {}), more),
            leave_out=_pick(leave_out.get(CONF_TARGET, {}), leave_out),
            with_diagnostics=data.get(CONF_DIAGNOSTICS, False),
            attributes=frozenset(values.get(CONF_ATTRIBUTES, ())),
            number_by_text=dict(
                filter(None, map(read_text, values.get(CONF_TEXTS, ())))
            ),
            formed_by=FormedBy(sending.get(CONF_FORMED_BY, FormedBy.DEVICE)),
            rhythm=Rhythm.of(sending),
            broker_id=None if over == OVER_HTTP else over,
        )


def is_glob(text: str) -> bool:
    """Return whether a text can match an entity id."""
    return bool(_GLOB.fullmatch(text))


def read_text(line: str) -> tuple[str, int | float] | None:
    """Read what a text stands for, such as `heat = 2`, or None if it isn't said."""
    text, _, number_text = line.rpartition("=")
    number = parse_number(number_text.strip())
    if not text.strip() or number is None or not abs(number) < VALUE_LIMIT:
        return None
    return text.strip(), number


def _pick(target: Target, patterns: Mapping[str, Any]) -> Pick:
    return Pick(
        target,
        frozenset(patterns.get(CONF_DOMAINS, ())),
        tuple(patterns.get(CONF_GLOBS, ())),
    )
