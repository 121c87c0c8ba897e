"""What a fresh database holds, and the way back to it."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from .context import Context
from .json_reader import PlainJson
from .settings import Mode
from .store import DEFAULT_ORGANIZATION, Store

ALICE_PASSWORD = "alice-password"  # noqa: S105
ALICE_KEY = "22222222-2222-4222-8222-222222222222"
DEV_A_TOKEN = "11111111-1111-4111-8111-111111111111"  # noqa: S105


def fill(context: Context) -> None:
    """Make the organisations, accounts and devices that the settings ask for."""
    store, now_us = context.store, context.clock.now_us()
    with store.transaction():
        store.organization_id(DEFAULT_ORGANIZATION)
        if context.settings.fixtures == "contract":
            _fill_contract(store, now_us)
        else:
            _fill_demo(context, now_us)


def _fill_contract(store: Store, now_us: int) -> None:
    """Make what the protocol's vectors expect."""
    organization_a = store.organization_id("Organization A")
    organization_b = store.organization_id("Organization B")
    store.add_user(
        organization_id=organization_a,
        username="alice",
        email="alice@example.invalid",
        password=ALICE_PASSWORD,
        first_name="Alice",
        last_name="Example",
        user_key=ALICE_KEY,
    )
    for organization_id, external_id, token in (
        (organization_a, "dev-a", DEV_A_TOKEN),
        (organization_a, "dev-a2", None),
        (organization_b, "dev-b", None),
    ):
        store.add_device(
            organization_id=organization_id,
            external_id=external_id,
            token=token,
            now_us=now_us,
            status="ONLINE",
            last_seen_at=now_us,
        )


def _fill_demo(context: Context, now_us: int) -> None:
    """Make one account with its devices."""
    settings, store = context.settings, context.store
    organization_id = store.organization_id(settings.organization)
    store.add_user(
        organization_id=organization_id,
        username=settings.username,
        email=f"{settings.username}@example.invalid",
        password=settings.password,
    )
    for seed in settings.devices:
        store.add_device(
            organization_id=organization_id,
            external_id=seed.device_id,
            token=seed.token,
            now_us=now_us,
        )


async def reset(context: Context, given: PlainJson) -> None:
    """Empty the server, fill it anew, and apply what is given.

    Args:
        context: The server.
        given: Preconditions by name; without any, the state after a first start.

    Raises:
        ValueError: A precondition is not known, or its value makes no sense.
    """
    if not isinstance(given, dict):
        raise ValueError("The body must be a JSON object.")  # noqa: TRY004
    preconditions = [_precondition(name, value) for name, value in given.items()]
    settings = context.settings
    context.faults.clear()
    context.limits.clear()
    context.state.health = "UP"
    context.state.nginx = settings.nginx
    context.ingestion.auto_provision = settings.auto_provision
    context.switch_modes(settings.modes)
    context.store.clear()
    fill(context)
    for apply in preconditions:
        apply(context)
    context.feed.reload()
    if context.mqtt is not None:
        context.mqtt.apply_changes()
        await context.mqtt.settle()


type _Precondition = Callable[[Context], None]


def _precondition(name: str, value: PlainJson) -> _Precondition:
    """Return what makes one precondition true.

    Raises:
        ValueError: It is not known, or its value makes no sense.
    """
    match name, value:
        case "broker", "up" | "down":
            return partial(_set_broker, state=value)
        case "auto_provision", bool():
            return partial(_set_auto_provision, is_on=value)
        case "nginx", bool():
            return partial(_set_nginx, is_on=value)
        case "health", "UP" | "DOWN":
            return partial(_set_health, status=value)
        case "failed_user_keys", int():
            return partial(_fail_user_keys, times=value)
        case "device_status", dict():
            return partial(_set_statuses, statuses=value)
        case "mode" | "modes", str():
            return partial(_set_modes, modes=modes_of([value]))
        case "mode" | "modes", list():
            return partial(_set_modes, modes=modes_of(value))
    raise ValueError(
        f"given {name}={value!r} is not known. Use broker up|down, auto_provision, nginx,"
        " health UP|DOWN, failed_user_keys, device_status or modes."
    )


def modes_of(names: Iterable[PlainJson]) -> frozenset[Mode]:
    """Read the names of old-server modes.

    Raises:
        ValueError: There is no such mode.
    """
    return frozenset(Mode(str(name)) for name in names)


def _set_broker(context: Context, state: str) -> None:
    """Let the broker be reachable or not."""
    if state == "down":
        context.faults.set("broker_down")


def _set_auto_provision(context: Context, *, is_on: bool) -> None:
    """Let readings create devices or not."""
    context.ingestion.auto_provision = is_on


def _set_nginx(context: Context, *, is_on: bool) -> None:
    """Let the proxy's limits apply or not."""
    context.state.nginx = is_on


def _set_health(context: Context, status: str) -> None:
    """Report this health."""
    context.state.health = status


def _fail_user_keys(context: Context, times: int) -> None:
    """Count failed look-ups of a user key against this machine."""
    context.limits.keys.failed("127.0.0.1", times)


def _set_statuses(context: Context, statuses: Mapping[str, object]) -> None:
    """Give devices a status."""
    for external_id, status in statuses.items():
        device = context.store.device(external_id)
        if device is not None:
            context.store.update_device(device, status=status)


def _set_modes(context: Context, modes: frozenset[Mode]) -> None:
    """Behave as old servers did."""
    context.switch_modes(modes)
