"""A secret shows itself to nobody who does not ask for it."""

import copy
from dataclasses import asdict, dataclass
import gc
import json
import pickle

import pytest

from custom_components.sensorvision.client import Secret
from custom_components.sensorvision.client.secret import known_secrets

TEXT = "correct horse battery staple"


@dataclass(frozen=True)
class _Holder:
    password: Secret


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(TEXT)),
        repr(Secret(TEXT)),
        f"{Secret(TEXT)}",
        f"{Secret(TEXT)!r:>40}",
        "%s %r" % (Secret(TEXT), Secret(TEXT)),  # noqa: UP031 - as logging does
        repr(_Holder(Secret(TEXT))),
        repr(asdict(_Holder(Secret(TEXT)))),
        json.dumps({"password": Secret(TEXT)}, default=str),
        repr(copy.deepcopy([Secret(TEXT), copy.copy(Secret(TEXT))])),
    ],
)
def test_it_prints_as_stars(shown: str) -> None:
    assert "***" in shown
    assert "horse" not in shown


def test_it_is_revealed_to_who_asks() -> None:
    assert Secret(TEXT).reveal() == TEXT
    assert Secret(Secret(TEXT)).reveal() == TEXT


def test_it_keeps_to_a_width() -> None:
    assert f"{Secret(TEXT):>5}" == "  ***"


def test_it_gets_into_no_file() -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(Secret(TEXT))


def test_it_equals_a_secret_of_the_same_text_alone() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert hash(Secret(TEXT)) == hash(Secret(TEXT))
    assert Secret(TEXT) != Secret("another")
    assert Secret(TEXT) != TEXT
    assert Secret("\udcff") != Secret("?")


def test_it_is_true_if_it_holds_something() -> None:
    assert Secret(TEXT)
    assert not Secret("")


def test_it_can_not_be_changed() -> None:
    with pytest.raises(AttributeError, match="make another one"):
        Secret(TEXT)._value = "other"


def test_it_is_made_of_a_text_alone() -> None:
    with pytest.raises(TypeError, match="not of type bytes"):
        Secret(b"horse")  # type: ignore[arg-type]


def test_it_is_known_as_long_as_one_of_its_text_lives() -> None:
    """So that logs can be cleared of it."""
    first, second = Secret("only here, twice"), Secret("only here, twice")
    assert known_secrets().count("only here, twice") == 1
    del first
    gc.collect()
    assert "only here, twice" in known_secrets()
    del second
    gc.collect()
    assert "only here, twice" not in known_secrets()


def test_longest_of_those_known_comes_first() -> None:
    """Else a part of it would be blackened, and the rest be left."""
    held = [Secret("staple"), Secret("staple gun of mine")]
    known = known_secrets()
    assert known.index("staple gun of mine") < known.index("staple")
    assert len(held) == 2
