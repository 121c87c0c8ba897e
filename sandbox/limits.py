"""How often one may ask: the application's limits and those of the proxy in front."""

from dataclasses import dataclass

from .clock import Clock

_PLUGIN_REQUESTS = 60
_WINDOW_S = 60

_FAILED_KEYS = 10
_LOCKOUT_S = 15 * 60

_OLD_BUCKET = 100
_OLD_DATA_BUCKET = 1000


@dataclass(slots=True)
class _Window:
    """Requests counted since a moment."""

    started_s: float
    count: int = 0


class FixedWindow:
    """Sixty requests per user name and minute, on everything that is not exempt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def admits(self, name: str) -> bool:
        """Count a request and tell whether it is within the limit."""
        now = self._clock.now_s()
        window = self._windows.get(name)
        if window is None or now - window.started_s >= _WINDOW_S:
            window = self._windows[name] = _Window(now)
        window.count += 1
        return window.count <= _PLUGIN_REQUESTS


class KeyLockout:
    """Ten failed look-ups of a user key make the server deaf to an address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, _Window] = {}

    def failures(self, address: str) -> int:
        """Return the failed look-ups of an address in its running window."""
        window = self._failures.get(address)
        if window is None:
            return 0
        if self._clock.now_s() - window.started_s >= _LOCKOUT_S:
            del self._failures[address]
            return 0
        return window.count

    def is_locked(self, address: str) -> bool:
        """Tell whether keys from this address are ignored now."""
        return self.failures(address) >= _FAILED_KEYS

    def failed(self, address: str, times: int = 1) -> None:
        """Count failed look-ups."""
        if not self.failures(address):
            self._failures[address] = _Window(self._clock.now_s())
        self._failures[address].count += times

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the old limiter decided: tokens left, or seconds to wait."""

    remaining: int
    retry_after_s: int | None = None


class OldBucket:
    """The limiter of servers before 2025-11-23: a bucket per caller, filled each minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[int, _Window]] = {}

    def take(self, caller: str, path: str) -> Admission:
        """Take a token; a caller whose first request was for data gets the larger bucket."""
        now = self._clock.now_s()
        if caller not in self._buckets:
            size = _OLD_DATA_BUCKET if "/data/" in path else _OLD_BUCKET
            self._buckets[caller] = (size, _Window(now))
        size, window = self._buckets[caller]
        if now - window.started_s >= _WINDOW_S:
            window.started_s, window.count = now, 0
        if window.count >= size:
            return Admission(0, int(window.started_s + _WINDOW_S - now))
        window.count += 1
        return Admission(size - window.count)


@dataclass(slots=True)
class _Leak:
    """What has not leaked out yet, in requests."""

    excess: float
    at_s: float


class ProxyLimit:
    """A leaky bucket per address, as nginx's ``limit_req … nodelay``."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._leaks: dict[str, _Leak] = {}

    def admits(self, address: str) -> bool:
        """Count a request and tell whether it may pass."""
        now = self._clock.now_s()
        leak = self._leaks.get(address)
        if leak is None:
            self._leaks[address] = _Leak(0, now)
            return True
        drained = (now - leak.at_s) * self._per_second
        excess = max(leak.excess - drained + 1, 0)
        if excess > self._burst:
            return False
        leak.excess, leak.at_s = excess, now
        return True


class Limits:
    """All limiters of one server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Start all counts anew."""
        self.plugins = FixedWindow(self._clock)
        self.keys = KeyLockout(self._clock)
        self.old = OldBucket(self._clock)
        self.proxy = ProxyLimit(self._clock, per_second=10, burst=20)
        self.proxy_login = ProxyLimit(self._clock, per_second=5 / 60, burst=3)
