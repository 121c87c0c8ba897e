"""The doctor tries everything, stores nothing, and says what to do."""

from sandbox import Sandbox
from sandbox.fixtures import ALICE_PASSWORD, DEV_A_TOKEN

from .command import Command
from .terminal import Terminal


async def test_healthy_way_is_told_check_by_check(
    device: Command, sandbox: Sandbox
) -> None:
    ended = await device("doctor")
    assert ended.code == 0
    assert "FAILED" not in ended.out
    assert ended.out.count("ok    ") >= 4
    told = (await device("doctor", "--json")).json()
    assert told["ok"] is True
    assert len(told["checks"]) == len(ended.out.splitlines())
    assert all(
        set(each) == {"check", "ok", "text", "remedy"} for each in told["checks"]
    )
    assert sandbox.store.values("dev-a") == []
    assert DEV_A_TOKEN not in ended.out


async def test_each_failure_has_a_remedy(account: Command) -> None:
    command = account.with_variables(SENSORVISION_PASSWORD="wrong")
    ended = await command("doctor")
    assert ended.code == 1
    lines = ended.out.splitlines()
    failed = [index for index, line in enumerate(lines) if line.startswith("FAILED")]
    assert failed
    assert all(lines[index + 1].startswith("        ") for index in failed)
    told = (await command("doctor", "--json")).json()
    assert told["ok"] is False
    assert all(each["remedy"] for each in told["checks"] if each["ok"] is False)
    assert ALICE_PASSWORD not in ended.out


async def test_server_that_is_away_leaves_the_rest_untried(
    device: Command, unused_tcp_port: int
) -> None:
    command = device.with_variables(
        SENSORVISION_URL=f"http://127.0.0.1:{unused_tcp_port}"
    )
    told = await command("doctor", "--json")
    assert told.code == 1
    states = [each["ok"] for each in told.json()["checks"]]
    assert False in states
    assert None in states[states.index(False) :]


async def test_person_sees_that_something_goes_on(
    device: Command, sandbox: Sandbox
) -> None:
    sandbox.faults.set("latency", seconds=1, times=1)
    async with Terminal(device, "doctor") as terminal:
        await terminal.shows("Trying all that sending needs")
        assert await terminal.ends() == 0
        await terminal.shows("credential +The server takes a device token")
