"""Judge what the demo has delivered."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .arrivals import Arrived

TIMES = 3

_NUMBERS = {"on": "1", "off": "0", "locked": "1", "unlocked": "0"}

type Address = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """How what was sent compares with what is stored.

    Attributes:
        entities: how many were chosen.
        delivered: how many of them have arrived often enough.
        board_readings: how many numbers of the board's sensor have arrived, 0 unless each
            of its variables has often enough.
        mismatches: the entities whose last state is not the last value stored.
    """

    entities: int
    delivered: int
    board_readings: int
    mismatches: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Return whether everything has arrived and agrees."""
        return (
            self.entities > 0
            and self.delivered == self.entities
            and self.board_readings > 0
            and not self.mismatches
        )

    def as_json(self) -> dict[str, int]:
        """Return the numbers."""
        return {
            "entities": self.entities,
            "delivered": self.delivered,
            "board_readings": self.board_readings,
            "mismatches": len(self.mismatches),
        }


def judge(
    states: Mapping[str, str],
    addresses: Mapping[str, Address],
    board: Collection[Address],
    arrived: Mapping[Address, Arrived],
) -> Verdict:
    """Compare states with what is stored.

    Args:
        states: state by id of the entities that were chosen.
        addresses: where each entity's numbers go.
        board: where the numbers of the board's sensor go.
        arrived: what is stored.
    """
    of_entities = {
        entity_id: arrived.get(addresses.get(entity_id, ("", "")))
        for entity_id in states
    }
    of_board = [
        arrived[address].count if address in arrived else 0 for address in board
    ]
    return Verdict(
        entities=len(states),
        delivered=sum(
            what is not None and what.count >= TIMES for what in of_entities.values()
        ),
        board_readings=sum(of_board) if min(of_board, default=0) >= TIMES else 0,
        mismatches=tuple(
            entity_id
            for entity_id, what in of_entities.items()
            if what is None or what.last_value != _number(states[entity_id])
        ),
    )


def _number(state: str) -> Decimal | None:
    """Read a state as the server should have stored it, with six decimals, if it can."""
    try:
        return round(Decimal(_NUMBERS.get(state, state)), 6)
    except InvalidOperation:
        return None
