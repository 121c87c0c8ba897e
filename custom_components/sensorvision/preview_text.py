"""Put a preview into words and a table for the flow."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import string

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .client.pace import Pace
from .const import DOMAIN
from .mapping import SkipReason
from .mends import Mends
from .preview import Preview, Row

MAX_ROWS = 50

_ROWS_AT_ONCE = 10
_MAX_NAMES = 10
_MAX_CHARS = 48

# As character references they mean nothing to Markdown and nothing to HTML.
_ESCAPES = str.maketrans(
    {character: f"&#{ord(character)};" for character in string.punctuation}
)

type _Say = Callable[..., str]


async def in_words(hass: HomeAssistant, preview: Preview) -> dict[str, str]:
    """Return what fills in the texts of the flow's step, in the language of the home."""
    texts = await async_get_translations(
        hass, hass.config.language, "selector", {DOMAIN}
    )

    def say(group: str, key: str, **placeholders: object) -> str:
        text = texts[f"component.{DOMAIN}.selector.{group}.options.{key}"]
        return text.format(**placeholders)

    # What a person may want to rename is not to be far down, or not shown at all.
    mended_first = sorted(preview.rows, key=lambda row: row.mends == Mends())
    rows = [_cells(row, say) for row in mended_first[:MAX_ROWS]]
    return {
        "entities": str(preview.entities),
        "readings": str(len(preview.rows)),
        "devices": str(preview.devices),
        "rows": "\n".join(
            f"| {left} | {right} |" for left, right in rows[:_ROWS_AT_ONCE]
        ),
        "notes": "\n\n".join(
            [*_folded(rows[_ROWS_AT_ONCE:], say), *_notes(preview, say)]
        ),
    }


def escaped(text: str) -> str:
    """Return a text as one line that Markdown shows as it is, without a long middle."""
    line = " ".join(text.split())
    if len(line) > _MAX_CHARS:
        half = _MAX_CHARS // 2
        line = f"{line[:half]}…{line[-half:]}"
    return line.translate(_ESCAPES)


def _cells(row: Row, say: _Say) -> tuple[str, str]:
    """Return what is known of a reading here, and what it becomes there."""
    name = escaped(row.name)
    if row.attribute:
        name += f" ({_in_letters(row.attribute)})"
    unit = f"&nbsp;{escaped(row.unit)}" if row.unit else ""
    device_id, variable = (
        f"{name} <i>{say('mend', mend)}</i>" if mend else name
        for name, mend in zip(
            (escaped(row.device_id), f"<b>{escaped(row.variable)}</b>"),
            row.mends,
            strict=True,
        )
    )
    return (
        f"{name}<br><b>{escaped(str(row.value))}{unit}</b>",
        f"{variable}<br><small>{device_id}</small>",
    )


def _folded(rows: Sequence[tuple[str, str]], say: _Say) -> Iterator[str]:
    """Yield a table that is folded up, so that nobody has to scroll past it."""
    if rows:
        summary = say("preview", "more_rows", count=len(rows))
        table = "".join(
            f"<tr><td>{left}</td><td>{right}</td></tr>" for left, right in rows
        )
        yield f"<details><summary>{summary}</summary><table>{table}</table></details>"


def _notes(preview: Preview, say: _Say) -> Iterator[str]:
    """Yield what is to be said beside the table."""
    if not preview.is_mirroring:
        yield say("preview", "off")
    if (more := len(preview.rows) - MAX_ROWS) > 0:
        yield say("preview", "more", count=more)
    if preview.round_s > Pace().window_s:
        yield say("preview", "round", seconds=round(preview.round_s))
    if preview.skipped:
        yield "\n".join(
            [
                say("preview", "skipped", count=len(preview.skipped)),
                *(_group(*key, names, say) for key, names in _by_reason(preview)),
            ]
        )
    if missing := [escaped(name) for name in preview.missing]:
        yield say("preview", "missing", names=_listed(missing, say))


type _Why = tuple[SkipReason, str | None]


def _by_reason(preview: Preview) -> Iterable[tuple[_Why, list[str]]]:
    """Return the names of what is skipped by reason and by the mirror that sends it."""
    names_by_reason: dict[_Why, list[str]] = {}
    for skipped in preview.skipped:
        name = escaped(skipped.name)
        if skipped.attribute:
            name += f" ({_in_letters(skipped.attribute)})"
        names_by_reason.setdefault((skipped.reason, skipped.mirror), []).append(name)
    return sorted(
        names_by_reason.items(), key=lambda item: list(SkipReason).index(item[0][0])
    )


def _group(reason: SkipReason, mirror: str | None, names: list[str], say: _Say) -> str:
    why = say("skip_reason", reason)
    if mirror is not None:
        why += f" {escaped(mirror)}"
    return f"- **{why}** ({len(names)}): {_listed(names, say)}"


def _in_letters(attribute: str) -> str:
    return attribute.replace("_", " ")


def _listed(names: Sequence[str], say: _Say) -> str:
    """Return the first few names, and how many there are more."""
    listed = ", ".join(names[:_MAX_NAMES])
    if (more := len(names) - _MAX_NAMES) > 0:
        listed += f" {say('preview', 'and_more', count=more)}"
    return listed
