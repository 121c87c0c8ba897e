"""Read what a mirror was told to mirror."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import fnmatch
import re
from typing import Any, Self

from .client.protocol import VALUE_LIMIT
from .const import (
    CONF_ATTRIBUTES,
    CONF_DIAGNOSTICS,
    CONF_DOMAINS,
    CONF_GLOBS,
    CONF_LEAVE_OUT,
    CONF_MORE,
    CONF_TARGET,
    CONF_TEXTS,
)
from .mapping import parse_number

type Target = Mapping[str, list[str]]

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


@dataclass(frozen=True)
class Choice:
    """What one mirror is told to mirror, and how.

    Attributes:
        include: what to mirror.
        leave_out: what not to mirror of it.
        with_diagnostics: whether a target's diagnostic and configuration entities and
            those found by domain or glob are mirrored too.
        attributes: whose numbers are sent too, such as `light.brightness`.
        number_by_text: what states stand for that are texts.
    """

    include: Pick
    leave_out: Pick = Pick()
    with_diagnostics: bool = False
    attributes: frozenset[str] = frozenset()
    number_by_text: Mapping[str, int | float] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read a subentry's data; what an older version did not ask has its default."""
        more = data.get(CONF_MORE, {})
        leave_out = data.get(CONF_LEAVE_OUT, {})
        return cls(
            include=_pick(data.get(CONF_TARGET, {}), more),
            leave_out=_pick(leave_out.get(CONF_TARGET, {}), leave_out),
            with_diagnostics=data.get(CONF_DIAGNOSTICS, False),
            attributes=frozenset(data.get(CONF_ATTRIBUTES, ())),
            number_by_text=dict(filter(None, map(read_text, data.get(CONF_TEXTS, ())))),
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
