"""The board's clock, set from the network on ports that count from 1970 and from 2000."""

import time

import pytest

from .conftest import Run

_ESP32 = {"epoch": 2000, "starts": 946_684_800}
_RP2 = {"epoch": 1970, "starts": 1_609_459_200}

both_epochs = pytest.mark.parametrize("clock", [_ESP32, _RP2], ids=["esp32", "rp2"])

_SET = """
import asyncio, time
from sensorvision import clock
before = [clock.is_set(), clock.now() - starts, time.gmtime()[0]]
stamp = clock.stamp()
is_right = asyncio.run(clock.set_clock(hosts))
say([before, is_right, clock.is_set(), clock.now(), clock.stamp() - stamp,
     stamp + clock.jump, clock.iso(clock.now())])
"""


def near_now(unix_s: int) -> bool:
    """Tell whether a moment was just now."""
    return abs(unix_s - time.time()) < 20


@both_epochs
async def test_clock_is_set_and_stamps_go_on(run: Run, clock: dict[str, int]) -> None:
    before, is_right, is_set, now, passed, moment, iso = await run(
        _SET, world={"clock": clock}, hosts=None, starts=clock["starts"]
    )
    year = 2000 if clock["epoch"] == 2000 else 2021
    assert before[0] is False
    assert 0 <= before[1] < 20
    assert before[2] == year
    assert is_right is True
    assert is_set is True
    assert near_now(now)
    assert 0 <= passed < 20
    assert near_now(moment)
    assert iso[:14] == time.strftime("%Y-%m-%dT%H:", time.gmtime(now))
    assert iso[14:] == time.strftime("%M:%SZ", time.gmtime(now))


@pytest.mark.parametrize(
    ("ntp", "hosts", "is_right"),
    [
        pytest.param({"b": True}, ["a", "b"], True, id="second-answers"),
        pytest.param({"a": 946_684_800, "b": True}, ["a", "b"], True, id="first-lies"),
        pytest.param(
            {"a": 2_085_978_496, "b": True}, ["a", "b"], True, id="first-refuses"
        ),
        pytest.param({"time.google.com": True}, None, True, id="fallback-of-its-own"),
        pytest.param({"time.google.com": True}, ["a"], False, id="only-the-named"),
        pytest.param({"a": 1_700_000_000}, ["a"], False, id="only-liars"),
        pytest.param(False, ["a", "b"], False, id="nobody"),
    ],
)
@both_epochs
async def test_servers_are_asked_in_turn_and_not_believed_blindly(
    run: Run,
    clock: dict[str, int],
    ntp: object,
    hosts: list[str] | None,
    is_right: bool,
) -> None:
    said = await run(
        _SET, world={"clock": clock, "ntp": ntp}, hosts=hosts, starts=clock["starts"]
    )
    assert said[1] is is_right
    assert said[2] is is_right
    assert near_now(said[3]) is is_right


_DATES = """
from sensorvision import clock
outcomes = []
for text in texts:
    outcomes.append([clock.set_from_date(text), clock.now()])
say(outcomes)
"""


@both_epochs
async def test_clock_is_set_from_the_date_of_an_answer(
    run: Run, clock: dict[str, int]
) -> None:
    refused = [
        "",
        "yesterday",
        "Sat, 01 Jan 2000 00:00:00 GMT",
        "Sat, 28 Foo 2026 18:22:03 GMT",
        "Saturday, 28-Nov-26 18:22:03 GMT",
    ]
    good = "Tue, 29 Feb 2028 23:59:58 GMT"
    later = "Wed, 01 Mar 2028 12:00:00 GMT"
    outcomes = await run(_DATES, world={"clock": clock}, texts=[*refused, good, later])
    *before, set_by_date, kept = outcomes
    assert [is_set for is_set, _ in before] == [False] * len(refused)
    assert all(now - clock["starts"] < 20 for _, now in before)
    assert set_by_date[0] is True
    assert 0 <= set_by_date[1] - 1_835_481_598 < 20
    # A clock that is set already is not moved by whoever answers.
    assert kept[0] is True
    assert 0 <= kept[1] - 1_835_481_598 < 20


_ISO = """
from sensorvision import clock
say([clock.iso(moment) for moment in moments])
"""


@both_epochs
async def test_moments_are_written_as_the_server_reads_them(
    run: Run, clock: dict[str, int]
) -> None:
    moments = [946_684_800, 1_795_891_323, 1_835_481_599, 2_147_483_647, 4_102_444_799]
    written = await run(_ISO, world={"clock": clock}, moments=moments)
    assert written == [
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) for moment in moments
    ]
