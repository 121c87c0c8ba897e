"""What a board's readings are judged by: nothing is excused that a board must not lose."""

from collections.abc import Sequence
import json

from proofs.board_judgement import Course, Fate, Measurement, judge

_MINUTE_MS = 60_000
_BEGIN_MS = 1_800_000_000_000
_MEASURED = [
    Measurement(number, _BEGIN_MS + number * _MINUTE_MS, 50_000) for number in range(10)
]
_END_MS = _MEASURED[-1].at_ms
_QUIET = Course((), (), 5 * _MINUTE_MS)


def _message(number: int, *, late_s: int = 0, at: str = "") -> bytes:
    minute, second = divmod(number * 60 + late_s, 60)
    temperature, pressure, humidity = _MEASURED[number].values
    return json.dumps(
        {
            "deviceId": "greenhouse",
            "timestamp": at or f"2027-01-15T08:{minute:02}:{second:02}Z",
            "variables": {
                "temperature": temperature,
                "pressure": pressure,
                "humidity": humidity,
            },
        }
    ).encode()


def _judge(
    heard: Sequence[bytes], acknowledged: Sequence[bytes] = (), course: Course = _QUIET
) -> Fate:
    return judge(_MEASURED, _END_MS, heard, acknowledged, course)


def test_each_measurement_differs_from_all_others() -> None:
    numbers = range(11_000)
    assert len({Measurement(number, 0, 0).values for number in numbers}) == len(numbers)


def test_all_that_was_told_is_delivered_whatever_the_order() -> None:
    fate = _judge([_message(number) for number in reversed(range(10))])
    assert fate.delivered == set(range(10))
    assert not fate.lost
    assert not fate.copies


def test_what_nobody_was_told_is_lost() -> None:
    fate = _judge([_message(number) for number in range(9)])
    assert fate.lost == {9}


def test_second_telling_is_a_copy() -> None:
    fate = _judge([_message(number) for number in (*range(10), 4, 4)])
    assert fate.copies == {4: 2}
    assert not fate.lost


def test_wrong_time_is_no_delivery() -> None:
    fate = _judge([_message(3, late_s=3), _message(4, late_s=2)])
    assert fate.mistimed == {3}
    assert 3 in fate.lost
    assert fate.delivered == {4}


def test_what_was_never_measured_is_unknown() -> None:
    strange = _message(1).replace(b'"pressure": 1', b'"pressure": 2')
    assert _judge([strange]).unknown == 1


def test_message_without_the_sensor_says_nothing_of_it() -> None:
    health = json.dumps({"timestamp": "x", "variables": {"rssi": -60}}).encode()
    assert _judge([health, b"online"]).unknown == 0


def test_broker_that_died_with_a_reading_is_no_fault_of_the_board() -> None:
    fate = _judge([], [_message(number) for number in range(10)])
    assert fate.acknowledged == set(range(10))
    assert not fate.lost


def test_cut_excuses_what_was_in_memory_and_nothing_older_or_newer() -> None:
    cut_ms = _MEASURED[7].at_ms + 1
    fate = _judge([], course=Course([cut_ms], (), 2 * _MINUTE_MS + 1))
    assert fate.forgotten == {5, 6, 7}
    assert fate.lost == {0, 1, 2, 3, 4, 8, 9}


def test_unknown_time_excuses_its_span_alone() -> None:
    span = (_MEASURED[2].at_ms, _MEASURED[3].at_ms)
    fate = _judge([], course=Course((), [span], 0))
    assert fate.dropped == {2, 3}
    assert fate.lost == set(range(10)) - {2, 3}


def test_what_came_after_the_end_is_not_judged() -> None:
    fate = judge(_MEASURED, _MEASURED[4].at_ms, [_message(7)], [], _QUIET)
    assert {each.number for each in fate.sent} == {0, 1, 2, 3, 4}
    assert not fate.delivered
    assert fate.unknown == 0
