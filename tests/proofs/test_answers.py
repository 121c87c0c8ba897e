"""Whatever a server answers, the client makes of it what the contract says."""

from dataclasses import replace

import pytest

from proofs.answer_case import DONE, REFUSED, Found, Right
from proofs.answer_servers import Facts

from .prove import prove

_OURS = ("this client, sync", "this client, async")
_PEERS = ("sensorvision-sdk 0.1.1, sync", "sensorvision-sdk 0.1.1, async")

# What the peer gets wrong both ways, and one that it does not.
_TELLING = (
    "200, success true",
    "200, success false",
    "403, another",
    "429, wait an hour",
    "307 to another host",
    "token in the answer's text",
    "base URL with a path and a slash",
    "device id 'dev-a?x=1'",
    "value NaN",
)

_STORED = Facts("", posts=1, requests=1, stored=1)
_SAID_NO = Found("PayloadError", ("PayloadError", "AnswerError"))


def test_client_is_right_in_every_case() -> None:
    verdict = prove("answers", "--alone", timeout_s=240)
    assert verdict["wrong"] == dict.fromkeys(_OURS, 0)
    assert verdict["tried"][_OURS[0]] == verdict["cases"] - 1
    assert verdict["tried"][_OURS[1]] == verdict["cases"] > 70


def test_peer_is_tried_beside_it_and_found_wrong() -> None:
    """So that a case which nobody could fail is noticed."""
    verdict = prove("answers", *(f"--case={name}" for name in _TELLING), timeout_s=240)
    assert verdict["tried"] == dict.fromkeys((*_OURS, *_PEERS), len(_TELLING))
    assert verdict["wrong"] == {
        **dict.fromkeys(_OURS, 0),
        **dict.fromkeys(_PEERS, len(_TELLING) - 1),
    }


@pytest.mark.parametrize(
    ("right", "found", "facts", "flaws"),
    [
        (DONE, Found(""), _STORED, []),
        (REFUSED, _SAID_NO, Facts("", posts=1), []),
        (DONE, Found(""), Facts("", posts=1), ["says stored, and it is not"]),
        (DONE, _SAID_NO, Facts("", posts=1), ["gives up too early"]),
        (DONE, Found(""), replace(_STORED, stored=2), ["stored 2 times"]),
        (DONE, Found(""), replace(_STORED, posts=3), ["3 posts"]),
        (DONE, Found(""), replace(_STORED, astray=1), ["stored 1 elsewhere"]),
        (DONE, Found(""), replace(_STORED, still_open=2), ["2 connections left open"]),
        (DONE, Found(""), replace(_STORED, sent_bytes=64 << 20), ["read 64 MiB"]),
        (
            DONE,
            Found(""),
            replace(_STORED, leaked=True),
            ["credential sent to another host"],
        ),
        (
            REFUSED,
            replace(_SAID_NO, tells_token=True),
            Facts("", posts=1),
            ["credential in the error"],
        ),
        (
            replace(REFUSED, kind="NetworkError"),
            _SAID_NO,
            Facts("", posts=1),
            ["PayloadError is no NetworkError"],
        ),
        (
            replace(REFUSED, no_kind="AnswerError"),
            _SAID_NO,
            Facts("", posts=1),
            ["taken for AnswerError"],
        ),
        (replace(DONE, least_s=1), Found("", seconds=0.9), _STORED, ["did not wait"]),
        (DONE, Found("", seconds=6.5), _STORED, ["took 6.5 s"]),
        (
            replace(REFUSED, tells_pause=True),
            _SAID_NO,
            Facts("", posts=1),
            ["tells no pause"],
        ),
        (
            replace(REFUSED, tells_pause=True),
            replace(_SAID_NO, retry_after_s=3600),
            Facts("", posts=1),
            [],
        ),
        (Right(stored=(0, 1), posts=(0, 1)), Found(""), _STORED, []),
    ],
)
def test_each_flaw_is_seen_in_what_the_server_saw(
    right: Right, found: Found, facts: Facts, flaws: list[str]
) -> None:
    assert right.flaws(found, facts) == flaws
