"""What a caller may give, and what becomes of it by the wire contract."""

from dataclasses import replace

from .answer_case import DONE, OK, REFUSED, Case, Right
from .answer_servers import TOKEN, Order, sandboxed, scripted

# A number that can't be stored is the caller's mistake, which no second try mends.
_UNFIT = replace(REFUSED, posts=(0, 1), kind="ValidationError")
# Either refused before it is sent, or stored under just that name.
_EXACT_OR_UNSENT = Right(stored=(0, 1), posts=(0, 1))


def _named(name: str, value: object = 21.5) -> Order:
    return Order(variables=((name, value),))


_PATHS = (
    Case(
        "base URL with a path",
        "1.1",
        scripted(OK, prefix="/iot"),
        DONE,
        Order(base_path="/iot"),
    ),
    Case(
        "base URL with a path and a slash",
        "1.1",
        scripted(OK, prefix="/a/b"),
        DONE,
        Order(base_path="/a/b/"),
    ),
    *(
        Case(
            f"device id {device_id if len(device_id) < 20 else '65 long'!r}",
            "1.5",
            sandboxed(),
            _EXACT_OR_UNSENT,
            Order(device_id=device_id),
        )
        for device_id in (
            "boiler room",
            "größe",
            "🌡",
            "a/b",
            "dev-a?x=1",
            "dev-a#1",
            "dev-a;v=1",
            "50%25",
            "100%",
            "x/../dev-a",
            "..",
            "d" * 65,
        )
    ),
)

_TOKENS = (
    Case(
        "token pasted with a line break",
        "1.1",
        sandboxed(),
        replace(_EXACT_OR_UNSENT, kind="ValidationError"),
        Order(token=f"{TOKEN}\n"),
    ),
)

_NUMBERS = (
    *(
        Case(f"variable {name!r}", "1.4", sandboxed(), _EXACT_OR_UNSENT, _named(name))
        for name in ("température", "🌡", 'a"b\\', "a\nb", "__proto__", "0", "n" * 100)
    ),
    Case("variable 101 long", "1.4", sandboxed(), _UNFIT, _named("n" * 101)),
    Case("variable ''", "1.4", sandboxed(), _EXACT_OR_UNSENT, _named("")),
    *(
        Case(f"value {shown}", "1.4", sandboxed(), _UNFIT, _named("t", value))
        for shown, value in (
            ("True", True),
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            ("1e14", 1e14),
            ("1e300", 1e300),
            ("10**400", 10**400),
            ("None", None),
        )
    ),
    *(
        Case(f"value {value}", "1.4", sandboxed(), DONE, _named("t", value))
        for value in (-0.0, 5e-7, 99999999999999.5, 2**46)
    ),
    Case(
        "power_factor 100",
        "8.3",
        sandboxed(),
        _UNFIT,
        _named("power_factor", 100),
    ),
    Case(
        "one value of two is NaN",
        "1.4",
        sandboxed(),
        _UNFIT,
        Order(variables=(("good", 1), ("bad", "NaN"))),
    ),
    Case("nothing", "1.2", sandboxed(), _UNFIT, Order(variables=())),
)

INPUTS: tuple[Case, ...] = (*_PATHS, *_TOKENS, *_NUMBERS)
