"""Random bodies, judged by a second reading of the rules that shares no code."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
import json

from hypothesis import HealthCheck, example, given, settings, strategies as st
import pytest

from sandbox import Sandbox, Settings

from .conftest import DEV_A_TOKEN, JSON_TYPE
from .second_reading import UNREADABLE, judge, judge_bulk
from .wire import Reply, send

_IDS = count()
_RANDOM = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

_digits = st.text("0123456789", min_size=1, max_size=20)
_odd_digits = st.text(
    "0123456789\u0660\u0665\u0669\uff11\u0967", min_size=1, max_size=6
)
_signs = st.sampled_from(["", "", "-", "+"])
_exponents = st.sampled_from(
    [
        "",
        "",
        "",
        "e3",
        "E-7",
        "e+2",
        "e14",
        "e-400",
        "e400",
        "e2147483647",
        "e9999999999",
        "e-2147483648",
        "e-2147483649",
        "e99999999999",
        "e00000000000002",
        "e",
        "e+-1",
    ]
)


def _joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Join texts."""
    return st.tuples(*parts).map("".join)


_fractions = st.one_of(st.just(""), _joined(st.just("."), _digits), st.just("."))
_spellings = _joined(_signs, _digits, _fractions, _exponents)
_near_limits = st.sampled_from(
    [
        *("99999999999999.999999", "99999999999999.9999995", "-99999999999999.98"),
        *(
            "1e14",
            "0.0000005",
            "-0.0000005",
            "0.0000004999999",
            "-0.0",
            "5e-7",
            "1e308",
        ),
        *("9007199254740993", "99.9995", "99.9994", "999.9995", "1e309", "2e-324"),
        "1" * 309,
        "1" * 1000,
        "1" * 1001,
    ]
)
_non_numbers = st.sampled_from(
    [
        *("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x10", "1_0", "--1"),
        *("-", "tru", "None", "", "'1'", "1 2", "undefined"),
    ]
)
_numeric_strings = st.one_of(
    _spellings,
    _near_limits,
    _joined(_signs, _odd_digits, st.sampled_from(["", ".\u0665", ".", "e\u0663"])),
    st.sampled_from(
        ["", " 1", "1 ", "1,5", "1_000", "0x1F", "NaN", "Infinity", "\u00a01"]
    ),
    st.sampled_from(
        [".5", "5.", ".", "+", "-.", "e5", "1e", "\U0001d7d9", "1\n", "½", "²"]
    ),
    st.text(max_size=4),
).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
_strings = st.one_of(
    st.builds(json.dumps, _numeric_strings, ensure_ascii=st.booleans()),
    st.sampled_from([r'"\u0031"', r'"1\x"', r'"\u00zz"', '"\t1"', '"1', r'"\/"']),
)
_scalars = st.one_of(
    _spellings,
    _near_limits,
    _strings,
    st.sampled_from(["true", "false", "null"]),
    st.just("1.5"),
)
_nested = st.sampled_from(
    ["[]", "{}", "[1,2]", '{"a":{"b":[null]}}', "[1,]", '{"a"}', "[NaN]"]
)
_values = st.one_of(_scalars, _scalars, _scalars, _nested, _non_numbers)
_names = st.one_of(
    st.sampled_from(["a", "a", "b", "c", "", "timestamp", "voltage", "power_factor"]),
    st.sampled_from(
        ["frequency", "current", "kw_consumption", "温", "n" * 100, "n" * 101]
    ),
    st.sampled_from(["\u0000", "a b", "x\ny", 'q"q', "\U0001f600" * 100]),
)
_blanks = st.sampled_from(["", "", "", " ", "\n\t", "\r\n"])
_members = _joined(
    _blanks,
    st.builds(json.dumps, _names),
    _blanks,
    st.just(":"),
    _blanks,
    _values,
    _blanks,
)
_objects = st.lists(_members, max_size=5).map(
    lambda members: f"{{{','.join(members)}}}"
)
_texts = st.one_of(_objects, _objects, _objects, _objects, _values, st.just(""))
_tails = st.sampled_from([b"", b"", b"", b" ", b"garbage", b"}", b"\xff\xfe", b"\x00"])
_bodies = st.one_of(
    st.builds(
        lambda start, text, tail: start + text.encode() + tail,
        st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b" \n"]),
        _texts,
        _tails,
    ),
    _objects.map(lambda text: text[:-1].encode()),
    st.just(b'{"a":"\xff"}'),
)


@pytest.fixture
async def open_sandbox() -> AsyncGenerator[Sandbox]:
    """Run a sandbox that hundreds of examples share, each with a device of its own."""
    async with Sandbox(Settings(fixtures="contract")) as running:
        yield running


def _judgement(reply: Reply) -> tuple[int, str]:
    """Return status and message, or status and the kind of failure."""
    body = reply.json()
    return reply.status, body.get("message") or body["errorType"]


def _stored(sandbox: Sandbox, device_id: str) -> dict[str, int]:
    """Return what a device holds, in millionths."""
    rows = sandbox.store.values(device_id)
    values = {row.variable: int(row.value * 10**6) for row in rows}
    assert len(values) == len(rows)
    return values


@_RANDOM
@example(b'{"a":1,"b":"x","a":true}')
@example(b'{"a":1}' + b"[" * 2000)
@example('{"a":"\U0001d7d9"}'.encode())
@example('{"a":"\u0661.\u0665e\u0662"}'.encode())
@example(b'{"a":"0e2147483647","b":"1e-2147483647","c":"1e00000000000002"}')
@example(b'{"a":"1e2147483648"}')
@example(b'{"a":"0.1e-2147483647"}')
@example(b"\xef\xbb\xbf{}\xff\xfe")
@example(b'\xef\xbb\xbf{"a":1}\xff')
@example(b'\xef\xbb\xbf{"a":"\xff"}')
@example(b'\xef\xbb\xbf\xef\xbb\xbf{"a":1}\xff')
@given(body=_bodies)
async def test_random_bodies_are_judged_alike(
    open_sandbox: Sandbox, body: bytes
) -> None:
    """Status, message and stored values agree with the second reading."""
    device_id = f"random-{next(_IDS)}"
    reply = await send(
        open_sandbox.url,
        "POST",
        f"/api/v1/ingest/{device_id}",
        {"X-API-Key": DEV_A_TOKEN, **JSON_TYPE},
        body,
    )
    expected = judge(body)
    assert _judgement(reply) == (expected.status, expected.text)
    assert _stored(open_sandbox, device_id) == expected.stored
    assert (open_sandbox.store.device(device_id) is not None) == (
        expected.status == 200
    )


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"]
)
async def test_body_is_read_in_every_unicode_encoding(
    open_sandbox: Sandbox, encoding: str
) -> None:
    """The encoding is seen from the bytes, with or without a byte order mark."""
    await send(
        open_sandbox.url,
        "POST",
        "/api/v1/ingest/encoded",
        {"X-API-Key": DEV_A_TOKEN, **JSON_TYPE},
        '{"größe": 1.5}'.encode(encoding),
    )
    assert _stored(open_sandbox, "encoded") == {"größe": 1_500_000}


_instants = st.one_of(
    st.builds(
        lambda at, mark, fraction, zone: (
            f"{at:%Y-%m-%d}{mark}{at:%H:%M:%S}{fraction}{zone}"
        ),
        st.datetimes(datetime(1000, 1, 2), datetime(9998, 12, 30)),  # noqa: DTZ001
        st.sampled_from(["T", "T", "T", "t", " "]),
        st.one_of(
            st.just(""),
            st.text("0123456789", min_size=1, max_size=10).map(
                lambda digits: f".{digits}"
            ),
        ),
        st.sampled_from(
            ["Z", "Z", "z", "+02:00", "-11:30", "+18:00", "+18:01", "", "+0200"]
        ),
    ),
    st.sampled_from(
        [
            *(
                "2024-01-15",
                "2024-01-15T10:30Z",
                "2024-02-30T00:00:00Z",
                "yesterday",
                "",
            ),
            *("2024-01-15T24:00:00Z", "2024-01-15T24:00:01Z", "2016-12-31T23:59:60Z"),
            *(
                "2024-01-15T12:60:00Z",
                " 2024-01-15T10:30:00Z",
                "2024-01-15T10:30:00+02",
            ),
            *("1700000000", "2024-01-15T10:30:00.Z", "2024-01-15T24:00:00.5Z"),
        ]
    ),
)
_bulk_values = st.one_of(
    _near_limits,
    _joined(_signs.filter(lambda sign: sign != "+"), _digits, _exponents),
    st.builds(json.dumps, _numeric_strings),
    st.sampled_from(["null", '" 1.5 "', '""', '"  "', "1", "2.5", "0.0000005"]),
)
_rarely_unbound = st.one_of(
    *[_bulk_values] * 12, st.sampled_from(["true", "[]", "{}", "NaN"])
)


@st.composite
def _bulk_items(draw: st.DrawFn) -> str:
    """Draw one item of a bulk request."""
    members = []
    device_id = draw(
        st.sampled_from(
            ["DEVICE", "DEVICE", "DEVICE", "DEVICE", "7", "null", "", "LONG"]
        )
    )
    if device_id == "DEVICE":
        members.append(f'"deviceId":"bulk-{next(_IDS)}"')
    elif device_id == "7":
        members.append(f'"deviceId":{next(_IDS)}')
    elif device_id == "LONG":
        members.append(f'"deviceId":"{next(_IDS):065}"')
    elif device_id:
        members.append(f'"deviceId":{device_id}')
    if draw(st.booleans()):
        members.append(f'"timestamp":{json.dumps(draw(_instants))}')
    if draw(st.integers(0, 7)):
        names = draw(st.lists(_names, max_size=3))
        pairs = [f"{json.dumps(name)}:{draw(_rarely_unbound)}" for name in names]
        members.append(f'"variables":{{{",".join(pairs)}}}')
    members += draw(
        st.sampled_from(
            [
                [],
                [],
                [],
                ['"metadata":{"room":"hall"}'],
                ['"metadata":null'],
                ['"extra":[1]'],
            ]
        )
    )
    return f"{{{','.join(members)}}}"


@_RANDOM
@given(items=st.lists(_bulk_items(), max_size=4))
async def test_random_bulk_requests_are_judged_alike(
    open_sandbox: Sandbox, items: list[str]
) -> None:
    """Messages, times and stored values of every item agree with the second reading."""
    body = f"[{','.join(items)}]".encode()
    expected = judge_bulk(body)
    token = open_sandbox.context.security.issue("alice", kind="access", lifetime_s=60)
    headers = {**JSON_TYPE, "Authorization": f"Bearer {token}"}
    reply = await send(open_sandbox.url, "POST", "/api/v1/data/bulk", headers, body)
    if expected is None:
        assert _judgement(reply) == (500, UNREADABLE)
        return
    answers = reply.json()
    assert reply.status == 200
    assert [answer["message"] for answer in answers] == [
        item.message for item in expected
    ]
    for answer, item in zip(answers, expected, strict=True):
        succeeded = item.message == "Telemetry data ingested successfully"
        assert answer["status"] == ("success" if succeeded else "error")
        stored = _stored(open_sandbox, answer["deviceId"] or "")
        assert stored == item.stored
        times = {
            row.timestamp for row in open_sandbox.store.values(answer["deviceId"] or "")
        }
        if item.at is not None:
            assert times <= {item.at}
        elif times:
            (time,) = times
            assert datetime.now(UTC) - time < timedelta(seconds=10)


def test_second_reading_rounds_half_away_from_zero() -> None:
    """The judge itself is right about the cases that the contract spells out."""
    assert judge(b'{"a":5e-7}').stored == {"a": 1}
    assert judge(b'{"a":-5e-7,"b":-0.0}').stored == {"a": -1, "b": 0}
    assert judge(b'{"a":"0.0000004999999999999999999"}').stored == {"a": 0}
    assert Decimal(judge(b'{"a":9007199254740993}').status) == 500
