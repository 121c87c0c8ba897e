"""Faults that can be switched on: what networks, proxies and busy servers do to a client."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Required, TypedDict

DESCRIPTIONS: Mapping[str, str] = {
    "latency": "The request is handled at once, its answer comes late.",
    "slow_commit": "The request is handled late, even if the client has given up.",
    "reset": "The connection is reset before anything is stored.",
    "reset_after_commit": "The request is stored, then the connection is reset.",
    "truncated_chunk": "The request is stored, the answer ends in the middle.",
    "http_301": "The proxy redirects to https.",
    "html_200": "Something else answers 200 with a web page, as a captive portal does.",
    "http_429": "Too many requests.",
    "http_500": "The database is not available.",
    "http_502": "The proxy cannot reach the server.",
    "http_503": "The proxy's own request limit is used up.",
    "http_504": "The proxy has waited too long for the server.",
    "broker_down": "The MQTT broker cannot be reached.",
}
DELAYS = frozenset({"latency", "slow_commit"})
_MAX_SECONDS = 3600
_DEFAULT_SECONDS = {"latency": 1.0, "slow_commit": 1.0, "http_429": 1.0}


@dataclass(slots=True)
class Fault:
    """A fault that is switched on.

    Attributes:
        name: One of `DESCRIPTIONS`.
        times: How many requests it still hits, None for all until it is cleared.
        path: Only requests whose path begins so.
        seconds: Delay of ``latency`` and ``slow_commit``; waiting time that ``http_429`` names.
    """

    name: str
    times: int | None = None
    path: str | None = None
    seconds: float | None = None


class Faults:
    """The faults that are on now."""

    def __init__(self) -> None:
        self.on_change: list[Callable[[], None]] = []
        self._active: dict[str, Fault] = {}

    def set(
        self,
        name: str,
        *,
        times: int | None = None,
        path: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Switch a fault on, or change it.

        Args:
            name: One of `DESCRIPTIONS`.
            times: Number of requests that it hits; all until it is cleared, if left out.
            path: Hits only requests whose path begins so.
            seconds: Delay, or the waiting time that ``http_429`` names.

        Raises:
            ValueError: There is no such fault, or an argument makes no sense for it.
        """
        if name not in DESCRIPTIONS:
            raise ValueError(
                f"There is no fault '{name}'. Choose one of {', '.join(DESCRIPTIONS)}."
            )
        if times is not None and times < 1:
            raise ValueError(f"times is {times}; it must be 1 or more.")
        if seconds is not None and not 0 <= seconds <= _MAX_SECONDS:
            raise ValueError(f"seconds is {seconds}; it must be 0 to {_MAX_SECONDS}.")
        if seconds is None:
            seconds = _DEFAULT_SECONDS.get(name)
        elif name not in _DEFAULT_SECONDS:
            raise ValueError(f"seconds means nothing to '{name}'; leave it out.")
        self._active[name] = Fault(name, times, path, seconds)
        self._changed()

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        if name is None:
            self._active.clear()
        else:
            self._active.pop(name, None)
        self._changed()

    def _changed(self) -> None:
        """Tell whoever must act on a change."""
        for listener in self.on_change:
            listener()

    def is_on(self, name: str) -> bool:
        """Tell whether a fault is on for some request."""
        return name in self._active

    def active(self) -> list[dict[str, Any]]:
        """Describe the faults that are on."""
        return [asdict(fault) for fault in self._active.values()]

    def take(self, path: str) -> dict[str, Fault]:
        """Return the faults that hit a request to this path, and count it for them.

        Delays go with anything else; of the other faults, the one that was set first hits.
        """
        hits: dict[str, Fault] = {}
        for fault in list(self._active.values()):
            if fault.name == "broker_down":
                continue
            if fault.path is not None and not path.startswith(fault.path):
                continue
            if fault.name not in DELAYS and hits.keys() - DELAYS:
                continue
            hits[fault.name] = fault
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    del self._active[fault.name]
        return hits


class FaultArguments(TypedDict, total=False):
    """What `Faults.set` is called with."""

    name: Required[str]
    times: int
    path: str
    seconds: float


def parse(text: str) -> FaultArguments:
    """Read a fault from the command line: ``NAME[:ARG[,ARG…]]``.

    An argument is ``times=3``, ``path=/api/v1/ingest`` or ``seconds=0.5``; a bare number
    means seconds to a fault that delays and times to any other.

    Raises:
        ValueError: It cannot be read.
    """
    name, _, rest = text.partition(":")
    arguments = FaultArguments(name=name)
    for part in filter(None, rest.split(",")):
        key, separator, value = part.partition("=")
        if not separator:
            key, value = ("seconds" if name in DELAYS else "times"), part
        if key == "path":
            arguments["path"] = value
        elif key == "times" and value.isdecimal():
            arguments["times"] = int(value)
        elif key == "seconds":
            arguments["seconds"] = float(value)
        else:
            raise ValueError(
                f"'{part}' in '{text}' is not times=N, seconds=S or path=/PREFIX."
            )
    return arguments
