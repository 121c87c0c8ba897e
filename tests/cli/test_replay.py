"""A file of readings is replayed, and whatever ends the program, nothing is lost."""

from collections import Counter
import datetime as dt
import json
from pathlib import Path
import signal

import pytest

from sandbox import Sandbox
from tests.client.servers import eventually, poison

from .command import Command, ended

_START = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
_CHUNK = 100


def moment(number: int) -> str:
    """Return a time, another for each number."""
    return (_START + dt.timedelta(seconds=number)).isoformat().replace("+00:00", "Z")


def long_form(count: int) -> str:
    """Return a file of the long form."""
    rows = [f"dev-a,t,{number},{moment(number)}" for number in range(count)]
    return "\n".join(["device,variable,value,timestamp", *rows, ""])


def stored(sandbox: Sandbox, variable: str = "t") -> Counter[float]:
    """Return how often each value is stored."""
    return Counter(
        float(each.value) for each in sandbox.store.values("dev-a", variable)
    )


def write(file: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a file as it stands here."""
    file.write_bytes(text.encode(encoding))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the file lies."""
    return tmp_path / "readings.csv"


async def test_long_form_keeps_its_times(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3))
    ended = await user("replay", file.name)
    assert (ended.code, ended.out) == (0, "3 readings delivered.\n")
    found = {
        each.timestamp: float(each.value) for each in sandbox.store.values("dev-a")
    }
    assert found == {_START + dt.timedelta(seconds=n): n for n in range(3)}


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,device,t,u\n{0},dev-a,1,2\n{1},dev-a,3,\n\n",
        "\ufefftime;device_id;t;u\r\n{0};dev-a;1;2\r\n{1};dev-a;3;\r\n",
        (
            "variable\tvalue\ttimestamp\tdevice\nt\t1\t{0}\tdev-a\nu\t2\t{0}\tdev-a\n"
            "t\t3\t{1}\tdev-a"
        ),
        (
            '{{"device": "dev-a", "variables": {{"t": 1, "u": 2}}, "timestamp": "{0}"}}\n\n'
            '{{"device": "dev-a", "variable": "t", "value": 3, "timestamp": "{1}"}}\n'
        ),
        "time,device,t,u\n1769860800,dev-a,1,2\n1769860801.5,dev-a,3,\n",
        '"timestamp","device","t","u","two\nlines"\n{0},dev-a,1,2,\n{1},dev-a,3,,\n',
    ],
    ids=["wide", "semicolons", "long with tabs", "JSON lines", "seconds", "quoted"],
)
async def test_each_form_is_read(
    user: Command, sandbox: Sandbox, file: Path, text: str
) -> None:
    write(file, text.format(moment(0), moment(1)))
    ended = await user("replay", "--json", file.name)
    assert ended.json() | {"line": 0} == {
        "delivered": 3,
        "refused": 0,
        "bad": 0,
        "line": 0,
    }
    assert stored(sandbox) == {1: 1, 3: 1}
    assert stored(sandbox, "u") == {2: 1}


async def test_device_is_named_where_the_file_does_not(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, f"timestamp,t\n{moment(0)},1\n")
    assert (await user("replay", file.name)).code == 12
    assert (await user("replay", file.name, "--device", "dev-a")).code == 0
    assert stored(sandbox) == {1: 1}


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("device,variable,value", "has no column timestamp"),
        ("variable,value,timestamp", "has no column device"),
        ("device,timestamp", "has no column of values"),
        ("device,t,t,timestamp", "names a column twice"),
        ("", "has no column timestamp"),
    ],
)
async def test_head_that_lacks_something_is_told(
    user: Command, file: Path, head: str, problem: str
) -> None:
    write(file, head)
    ended = await user("replay", file.name)
    assert ended.code == 12
    assert ended.err.startswith(f"Error: The first line of readings.csv {problem}. ")


_BAD = {
    "dev-a,t,warm,{0}": "t 'warm' is not a number. Write it like 21.5",
    "dev-a,t,nan,{0}": "t nan is out of range. Send a finite number below 1e14",
    "dev-a,t,1,yesterday": "timestamp 'yesterday' is no certain moment",
    "dev-a,t,1": "3 cells in place of 4. Mend its commas",
    "dev/a,t,1,{0}": "device id 'dev/a' cannot be used",
    'dev-a,"t"x,1,{0}': "Mend its quotes",
}


async def test_bad_lines_are_told_by_number_and_passed_over(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    rows = [row.format(moment(0)) for row in _BAD]
    good = f"dev-a,t,1,{moment(1)}"
    write(file, "\n".join(["device,variable,value,timestamp", *rows, good, ""]))
    ended = await user("replay", file.name)
    assert ended.code == 1
    assert ended.out == "1 reading delivered, 6 bad lines or cells passed over.\n"
    for number, (line, problem) in enumerate(
        zip(ended.err.splitlines(), _BAD.values(), strict=True), start=2
    ):
        assert line.startswith(f"Line {number}: ")
        assert problem in line
        assert line.endswith(" Not sent.")
    assert stored(sandbox) == {1: 1}


@pytest.mark.parametrize("bad", ['"dev-a,t,9,{0}', 'dev-a,t,9,"{0}', 'dev-a,"t,9,{0}'])
async def test_stray_quote_takes_no_good_line_along(
    user: Command, sandbox: Sandbox, file: Path, bad: str
) -> None:
    head, *rows = long_form(3).splitlines()
    rows.insert(1, bad.format(moment(9)))
    write(file, "\n".join([head, *rows]))
    ended = await user("replay", "--json", file.name)
    assert ended.json() == {"delivered": 3, "refused": 0, "bad": 1, "line": 5}
    assert stored(sandbox) == {0: 1, 1: 1, 2: 1}
    assert '"line": 3' in ended.err


async def test_text_that_is_not_utf_8_is_told(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    row = f"dev-a,temp\xe9rature,1,{moment(0)}\ndev-a,t,1,{moment(0)}\n"
    write(file, f"device,variable,value,timestamp\n{row}", "latin-1")
    told = await user("replay", file.name)
    assert told.code == 1
    assert "Line 2: " in told.err
    assert "is not in UTF-8. Save the file as UTF-8" in told.err
    assert stored(sandbox) == {1: 1}
    write(file, "timestamp,device,temp\xe9rature\n", "latin-1")
    assert "is not in UTF-8" in (await user("replay", file.name, "--restart")).err


async def test_bad_json_lines_are_told_as_json(user: Command, tmp_path: Path) -> None:
    file = tmp_path / "readings.jsonl"
    bad = ["{", "[]", '{"device": "dev-a"}', "{" * 100_000]
    write(file, "\n".join(['{"device": "dev-a", "variables": {}}', *bad]))
    ended = await user("replay", "--json", file)
    told = [json.loads(line) for line in ended.err.splitlines()]
    assert [each["line"] for each in told] == [1, 2, 3, 4, 5]
    assert ended.json()["bad"] == 5


async def test_strict_stops_at_the_first_bad_line_and_goes_on_there(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    text = long_form(4)
    write(file, text.replace("t,2,", "t,warm,"))
    stopped = await user("replay", "--json", "--strict", file.name)
    assert stopped.code == 12
    assert stopped.error()["message"].startswith("Line 4: t 'warm' is not a number")
    assert stored(sandbox) == {0: 1, 1: 1}
    write(file, text)
    going_on = await user("replay", "--strict", file.name)
    assert going_on.code == 0
    assert going_on.out == (
        "Going on after line 3, as readings.csv.replayed says.\n2 readings delivered.\n"
    )
    assert stored(sandbox) == {0: 1, 1: 1, 2: 1, 3: 1}


async def test_kill_in_the_middle_loses_nothing(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(1000))
    sandbox.faults.set("latency", seconds=0.2, path="/api/v1/data/bulk")
    process = await user.start("replay", file.name)
    await eventually(lambda: len(sandbox.store.values("dev-a")) > 3 * _CHUNK)
    process.kill()
    await process.wait()
    before = stored(sandbox)
    sandbox.faults.clear()
    going_on = await user("replay", file.name)
    assert going_on.code == 0
    assert going_on.out.startswith("Going on after line ")
    assert 0 < len(before) < 1000
    after = stored(sandbox)
    assert set(after) == set(range(1000))
    assert after.total() - 1000 <= _CHUNK


async def test_ctrl_c_says_that_nothing_is_lost(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(1000))
    sandbox.faults.set("latency", seconds=0.2, path="/api/v1/data/bulk")
    process = await user.start("replay", "--json", file.name)
    await eventually(lambda: len(sandbox.store.values("dev-a")) > _CHUNK)
    process.send_signal(signal.SIGINT)
    interrupted = await ended(process)
    assert interrupted.code == 130
    assert interrupted.error() == {
        "error": "interrupted",
        "message": "Interrupted",
        "remedy": "Run the same command again: it goes on where it was",
    }


async def test_second_run_sends_what_was_added_alone(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3))
    await user("replay", file.name)
    write(file, long_form(5))
    ended = await user("replay", "--json", file.name)
    assert ended.json()["delivered"] == 2
    assert stored(sandbox) == dict.fromkeys(range(5), 1)
    assert (await user("replay", "--json", file.name)).json()["delivered"] == 0
    assert (await user("replay", "--json", "--restart", file.name)).json()[
        "delivered"
    ] == 5


async def test_state_of_another_file_or_server_is_refused(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3))
    await user("replay", file.name, "--state", "kept")
    elsewhere = await user(
        "replay", file.name, "--state", "kept", "--url", "http://x.invalid"
    )
    assert elsewhere.code == 12
    assert f"was replayed to {sandbox.url} before" in elsewhere.err
    write(file, long_form(3).replace("t,1,", "t,9,"))
    changed = await user("replay", file.name, "--state", "kept")
    assert changed.code == 12
    assert changed.err == (
        "Error: readings.csv has changed where it was replayed before."
        " Begin from its first line with --restart, or name another --state.\n"
    )
    (file.parent / "kept").write_text("[]")
    assert (await user("replay", file.name, "--state", "kept")).code == 12
    (file.parent / "kept").write_text("no JSON")
    assert (await user("replay", file.name, "--state", "kept")).code == 12


async def test_device_token_is_refused_as_it_keeps_no_times(
    device: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3))
    ended = await device("replay", "--json", file.name)
    assert ended.code == 13
    assert "can't keep the times" in ended.error()["message"]
    assert "--newest" in ended.error()["remedy"]
    assert stored(sandbox) == {}


@pytest.mark.parametrize("kind", ["device", "user"])
async def test_newest_of_each_is_sent(
    kind: str,
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    file: Path,
) -> None:
    command: Command = request.getfixturevalue(kind)
    rows = [
        f"dev-a,t,1,{moment(1)}",
        f"dev-a,u,5,{moment(2)}",
        f"dev-a,t,3,{moment(2)}",
        f"dev-a,t,2,{moment(0)}",
        "dev-a,t,warm,0",
    ]
    write(file, "\n".join(["device,variable,value,timestamp", *rows]))
    ended = await command("replay", "--json", "--newest", file.name)
    assert ended.code == 1
    assert ended.json()["delivered"] == 2
    assert (stored(sandbox), stored(sandbox, "u")) == ({3: 1}, {5: 1})
    is_kept = sandbox.store.values("dev-a")[0].timestamp == _START + dt.timedelta(
        seconds=2
    )
    assert is_kept == (kind == "user")


async def test_what_the_server_refuses_is_told_and_passed_over(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(2).replace("dev-a,t,0", "dev-b,t,0"))
    ended = await user("replay", file.name)
    assert ended.code == 1
    assert ended.out == "1 reading delivered, 1 refused by the server.\n"
    assert ended.err.startswith("Line 2: the server refused it: ")
    assert stored(sandbox) == {1: 1}


async def test_number_that_the_database_fails_on_is_refused_in_the_end(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    poison(sandbox, "u")
    write(file, long_form(3).replace("dev-a,t,1", "dev-a,u,1"))
    command = user.with_variables(SENSORVISION_RETRIES="0")
    ended = await command("replay", "--json", file.name)
    assert ended.code == 1
    assert ended.json() == {"delivered": 2, "refused": 1, "bad": 0, "line": 4}


async def test_strict_stops_where_the_server_refuses(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3).replace("dev-a,t,1", "dev-b,t,1"))
    ended = await user("replay", "--strict", "--json", file.name)
    assert ended.code == 12
    assert ended.error()["message"].startswith("Line 3: the server refused it: ")


async def test_credential_that_is_refused_stops_it(user: Command, file: Path) -> None:
    write(file, long_form(3))
    command = user.with_variables(
        SENSORVISION_USER_KEY="",
        SENSORVISION_USERNAME="alice",
        SENSORVISION_PASSWORD="wrong",
    )
    ended = await command("replay", "--json", file.name)
    assert ended.code == 9
    assert ended.error()["error"] == "login"


async def test_account_that_is_gone_in_the_middle_stops_it(
    account: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(1000))
    sandbox.faults.set("latency", seconds=0.2, path="/api/v1/data/bulk")
    process = await account.start("replay", "--json", file.name)
    await eventually(lambda: len(sandbox.store.values("dev-a")) >= _CHUNK)
    sandbox.store.connection.execute("UPDATE users SET username = 'bob'")
    stopped = await ended(process)
    assert stopped.code == 9
    assert stopped.error()["error"] == "auth"


async def test_trouble_that_passes_is_waited_for(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(3))
    sandbox.faults.set("http_503", times=1, path="/api/v1/data/bulk")
    assert (await user("replay", file.name)).code == 0
    assert stored(sandbox) == {0: 1, 1: 1, 2: 1}


async def test_server_that_is_away_stops_it_where_it_can_go_on(
    user: Command, sandbox: Sandbox, file: Path
) -> None:
    write(file, long_form(250))
    command = user.with_variables(SENSORVISION_RETRIES="0")
    sandbox.faults.set("latency", seconds=0.2, path="/api/v1/data/bulk")
    process = await command.start("replay", "--json", file.name)
    await eventually(lambda: len(sandbox.store.values("dev-a")) >= _CHUNK)
    sandbox.faults.set("http_500", path="/api/v1/data/bulk")
    stopped = await ended(process)
    assert stopped.code == 11
    assert stopped.error()["message"].startswith("Stopped before line ")
    sandbox.faults.clear()
    assert (await user("replay", file.name)).code == 0
    assert set(stored(sandbox)) == set(range(250))
