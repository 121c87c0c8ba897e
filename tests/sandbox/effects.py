"""What each vector leaves behind in the database, beside its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox import Sandbox
from sandbox.records import Device

_TOLERANCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class After:
    """A sandbox after a vector's request, with what it held before."""

    sandbox: Sandbox
    devices_before: tuple[Device, ...]

    def device(self, device_id: str) -> Device:
        """Return a device as it is now."""
        device = self.sandbox.store.device(device_id)
        assert device is not None, f"{device_id} is not there"
        return device

    def values(self, device_id: str) -> dict[str, Decimal]:
        """Return the stored values of a device by variable; each was stored once."""
        rows = self.sandbox.store.values(device_id)
        values = {row.variable: row.value for row in rows}
        assert len(values) == len(rows)
        return values

    def is_now(self, timestamp: datetime | int | None) -> bool:
        """Tell whether a time is that of the request."""
        if isinstance(timestamp, int):
            timestamp = datetime.fromtimestamp(timestamp / 1e6, UTC)
        return timestamp is not None and abs(datetime.now(UTC) - timestamp) < _TOLERANCE

    def token_was_used(self, device_id: str) -> bool:
        """Tell whether a device's token was marked as used by the request."""
        return self.is_now(self.device(device_id).token_last_used_at)

    def nothing_is_stored(self) -> bool:
        """Tell whether there is no value, record, event or device that was not before."""
        store = self.sandbox.store
        tables = ("variable_values", "variables", "telemetry_records", "events")
        counts = [store.rows(f"SELECT count(*) FROM {t}")[0][0] for t in tables]
        before = [device.external_id for device in self.devices_before]
        now = [device.external_id for device in store.devices()]
        return not any(counts) and before == now

    def stored(self, device_id: str, **values: str) -> bool:
        """Tell whether exactly these values are stored, on this device alone, now."""
        everything = self.sandbox.store.rows("SELECT count(*) FROM variable_values")
        rows = self.sandbox.store.values(device_id)
        return (
            self.values(device_id) == {n: Decimal(v) for n, v in values.items()}
            and all(self.is_now(row.timestamp) for row in rows)
            and everything[0][0] == len(values)
        )

    def stored_at(self, device_id: str, instant: str, **values: str) -> bool:
        """Tell whether exactly these values are stored at this time."""
        rows = self.sandbox.store.values(device_id)
        return self.values(device_id) == {
            name: Decimal(value) for name, value in values.items()
        } and all(row.timestamp == datetime.fromisoformat(instant) for row in rows)

    def failed_keys(self) -> int:
        """Return the failed look-ups of a user key that this address has."""
        return self.sandbox.context.limits.keys.failures("127.0.0.1")


def _last_seen(after: After, device_id: str) -> str:
    """Return when a device was last seen."""
    at = after.device(device_id).last_seen_at
    assert at is not None
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat()


def _i01(after: After) -> None:
    assert after.stored("dev-a", temperature="23.500000", humidity="65.000000")
    assert [str(row.value) for row in after.sandbox.store.values("dev-a")] == [
        "23.500000",
        "65.000000",
    ]
    assert after.device("dev-a").status == "ONLINE"
    assert after.is_now(after.device("dev-a").last_seen_at)
    assert after.token_was_used("dev-a")


def _i05(after: After) -> None:
    assert after.stored("dev-a2", t="1")
    assert after.token_was_used("dev-a")
    assert after.device("dev-a2").token_last_used_at is None


def _i06(after: After) -> None:
    created, owner = after.device("brand-new-1"), after.device("dev-a")
    assert created.name == "brand-new-1"
    assert created.organization_id == owner.organization_id
    assert created.api_token not in {None, owner.api_token}
    events = after.sandbox.store.events("brand-new-1")
    assert events == ["DEVICE_CREATED", "DEVICE_CONNECTED"]
    assert after.stored("brand-new-1", t="1")


def _i12(after: After) -> None:
    assert after.failed_keys() == 1
    assert after.nothing_is_stored()


def _i15(after: After) -> None:
    assert after.token_was_used("dev-a")
    assert after.nothing_is_stored()


def _i37(after: After) -> None:
    assert after.stored("\u6e29 room", t="1")


def _rolled_back(after: After) -> None:
    assert after.nothing_is_stored()
    assert not after.token_was_used("dev-a")


def _d04(after: After) -> None:
    assert after.stored_at("dev-a", "2024-01-15T10:30:00Z", t="21.5")
    assert _last_seen(after, "dev-a") == "2024-01-15T10:30:00+00:00"


def _d14(after: After) -> None:
    assert after.stored_at("dev-a", "2024-01-15T10:30:00Z", t="1")
    assert after.values("dev-a2") == {}


def _d19(after: After) -> None:
    (record,) = after.sandbox.store.rows("SELECT * FROM telemetry_records")
    legacy = ("kw_consumption", "voltage", "current", "power_factor", "frequency")
    assert [Decimal(record[name]) for name in legacy] == [0] * 5
    assert after.device("dev-a").status == "ONLINE"
    assert after.is_now(after.device("dev-a").last_seen_at)
    assert after.values("dev-a") == {}


def _d21(after: After) -> None:
    assert after.stored("dev-b", t="1")
    alice = after.sandbox.store.user("username", "alice")
    assert alice is not None
    assert after.device("dev-b").organization_id != alice.organization_id


def _d02(after: After) -> None:
    assert after.failed_keys() == 1


def _nothing(after: After) -> None:
    assert after.nothing_is_stored()


def _stores(device_id: str, **values: str) -> Callable[[After], None]:
    """Return a check that exactly these values are stored now."""

    def check(after: After) -> None:
        assert after.stored(device_id, **values)

    return check


def _d22(after: After) -> None:
    assert after.stored_at("dev-a", "2023-11-14T22:13:20Z", t="1")


EFFECTS: dict[str, Callable[[After], None]] = {
    "I01": _i01,
    "I02": _stores("dev-a", a="23.5", b="1000", c="5"),
    "I04": _stores("dev-a", a="2"),
    "I05": _i05,
    "I06": _i06,
    "I12": _i12,
    "I15": _i15,
    "I17": _nothing,
    "I23": _nothing,
    "I25": _stores("dev-a", t="1", timestamp="1700000000"),
    "I37": _i37,
    "I38": _rolled_back,
    "I40": _rolled_back,
    "I42": _nothing,
    "I44": _stores("dev-a", t="1"),
    "D02": _d02,
    "D04": _d04,
    "D14": _d14,
    "D16": _nothing,
    "D11": _nothing,
    "D19": _d19,
    "D21": _d21,
    "D22": _d22,
}
"""A check for each vector that names effects; of the others, those that fail store nothing."""
