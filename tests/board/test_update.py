"""Updates over the air on real MicroPython: what is taken, and that one whole version runs."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
import shutil
import ssl
from typing import Any

from aiohttp import web
import pytest
import trustme

from micropython.provision.manifest import stage
from micropython.simulator import SimulatedBoard
from micropython.simulator.process import FIRMWARE
from proofs.releases import KEY, Answer, Releases, offering

from .conftest import TOKEN, Run

NEW = "sensorvision.new"

# A version of the port, as small as one can be.
FILES = {
    "__init__.py": b'__version__ = "9.0.0"\n',
    "start.py": b"def run():\n    print('version 9 runs')\n",
    "sensors/__init__.py": b"",
    "sensors/large.py": b"# " + bytes(range(32, 127)) * 90 + b"\n",
}

CHECK = """
import asyncio
from sensorvision import update
class Link:
    async def up(self, needs_clock):
        print("up, with a clock:", needs_clock)
ca = bytes.fromhex(ca) if ca else None
say([asyncio.run(update.check({"url": url, "key": key}, ca, Link())) for _ in range(checks)])
"""


@pytest.fixture
async def releases() -> AsyncIterator[Releases]:
    """Return a running server that offers nothing yet."""
    async with offering() as server:
        yield server


async def check(
    tmp_path: Path,
    url: str,
    *,
    key: str | None = KEY,
    ca: bytes = b"",
    checks: int = 1,
    name: str = "board",
) -> tuple[list[bool], str, Path]:
    """Let a board look for an update.

    Returns:
        What it found each time, what it printed, and its flash.
    """
    board = SimulatedBoard(tmp_path / name, {}, heap="200k")
    stage(board.flash)
    values = json.dumps({"url": url, "key": key, "ca": ca.hex(), "checks": checks})
    (board.flash / "main.py").write_text(
        f"import json\nglobals().update(json.loads({values!r}))\n"
        "def say(value):\n    print('SAID', json.dumps(value))\n" + CHECK,
        encoding="utf-8",
    )
    async with board:
        await board.wait_until_off(60)
    [said] = [
        json.loads(line.removeprefix("SAID "))
        for line in board.lines
        if line.startswith("SAID ")
    ] or ["\n".join(board.lines)]
    return said, "\n".join(board.lines), board.flash


def staged(flash: Path) -> dict[str, bytes]:
    """Return what lies in the directory of the new version, but for what tells of it."""
    root = flash / NEW
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*.py"))
    }


def is_complete(flash: Path) -> bool:
    """Tell whether the board would start the new version."""
    return (flash / NEW / "trial").exists()


async def test_newer_version_is_fetched_whole_and_the_board_wants_its_start(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is True, printed
    assert "update: fetched, starts after a reset" in printed
    assert staged(flash) == FILES
    assert (flash / NEW / "trial").read_bytes() == b"20"


async def test_nothing_but_the_name_of_the_file_is_told_to_the_server(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    await check(tmp_path, releases.url)
    assert releases.asked[:2] == ["manifest.json", "manifest.sig"]
    assert sorted(releases.asked[2:]) == sorted(FILES)
    for headers in releases.headers:
        assert set(headers) == {"Host", "Content-Length"}
        assert TOKEN not in str(headers)
        assert KEY not in str(headers)


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.1"])
async def test_no_version_is_taken_but_a_higher_one(
    tmp_path: Path, releases: Releases, version: str
) -> None:
    releases.offer(version, FILES)
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert "update:" not in printed
    assert not (flash / NEW).exists()


@pytest.mark.parametrize(
    ("scheme", "key", "ca"),
    [("http", None, b""), ("http", None, b"any"), ("https", KEY, b"")],
)
async def test_what_could_not_be_verified_is_not_even_asked_for(
    tmp_path: Path, releases: Releases, scheme: str, key: str | None, ca: bytes
) -> None:
    url = releases.url.replace("http", scheme)
    [found], printed, _ = await check(tmp_path, url, key=key, ca=ca)
    assert found is False
    assert "no update: set update.key, or use https and ca_file" in printed
    assert releases.asked == []


async def test_https_needs_no_key_but_the_right_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    def der(ca: trustme.CA) -> bytes:
        return ssl.PEM_cert_to_DER_cert(ca.cert_pem.bytes().decode())

    async with offering(tls) as releases:
        releases.offer("9.0.0", FILES)
        [found], printed, flash = await check(
            tmp_path, releases.url, key=None, ca=der(trustme.CA())
        )
        assert found is False
        assert "not correctly signed by the trusted CA" in printed
        assert releases.asked == []
        [found], printed, flash = await check(
            tmp_path, releases.url, key=None, ca=der(authority), name="other"
        )
    assert found is True, printed
    assert "up, with a clock: True" in printed
    assert staged(flash) == FILES


async def test_https_with_a_key_needs_the_signature_too(tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    async with offering(tls) as releases:
        releases.offer("9.0.0", FILES, key="another-key-than-the-board-has")
        [found], printed, _ = await check(tmp_path, releases.url, ca=ca)
    assert found is False
    assert "manifest.json: not signed with update.key" in printed


async def test_wrong_signature_is_refused_and_nothing_is_fetched(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    releases.files["manifest.json"] = releases.files["manifest.json"].replace(
        b"9.0.0", b"9.0.1"
    )
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert "no update: manifest.json: not signed with update.key" in printed
    assert KEY not in printed
    assert not (flash / NEW).exists()
    assert releases.asked == ["manifest.json", "manifest.sig"]


async def test_file_that_is_not_the_one_of_the_manifest_is_refused(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    releases.files["start.py"] = FILES["start.py"].replace(b"9", b"8")
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert "no update: start.py is damaged. Write the release again" in printed
    assert not is_complete(flash)


async def _cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "8553"})
    await response.prepare(request)
    await response.write(FILES["sensors/large.py"][:4000])
    assert request.transport is not None
    request.transport.close()
    return response


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(str(request.url.with_path("/boards/elsewhere")))


async def _huge(request: web.Request) -> web.StreamResponse:
    return await _endless(request, {"Content-Length": str(1 << 40)})


async def _endless(
    request: web.Request, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    while True:
        # Ends when the board has closed the connection.
        await response.write(b"x" * 4096)
        await asyncio.sleep(0.001)


async def _missing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "sensors/large.py"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_redirect, "status 302"),
        (_missing, "status 404"),
        (_huge, "1099511627776 bytes"),
        (_endless, "-1 bytes"),
    ],
)
async def test_odd_answer_is_no_update(
    tmp_path: Path, releases: Releases, name: str, answer: Answer, words: str
) -> None:
    releases.offer("9.0.0", FILES)
    releases.files["elsewhere"] = releases.files[name]
    releases.answers[name] = answer
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert words in printed
    assert "Check update.url" in printed
    assert "elsewhere" not in releases.asked
    assert not is_complete(flash)


async def test_download_that_was_cut_goes_on_where_it_was(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)

    async def cut_once(request: web.Request) -> web.StreamResponse:
        del releases.answers["sensors/large.py"]
        return await _cut_short(request)

    releases.answers["sensors/large.py"] = cut_once
    found, printed, flash = await check(tmp_path, releases.url, checks=2)
    assert found == [False, True], printed
    assert "the connection was closed" in printed
    assert staged(flash) == FILES
    files = [name for name in releases.asked if not name.startswith("manifest.")]
    # One of them twice; those that were there already are not fetched again.
    assert sorted(files) == sorted([*FILES, "sensors/large.py"])


async def test_newer_release_replaces_one_that_was_fetched_in_part(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", {**FILES, "gone.py": b""})

    async def change(request: web.Request) -> web.StreamResponse:
        releases.answers.clear()
        releases.offer("9.0.1", FILES)
        return await _cut_short(request)

    releases.answers["sensors/large.py"] = change
    found, printed, flash = await check(tmp_path, releases.url, checks=2)
    assert found == [False, True], printed
    assert staged(flash) == FILES


@pytest.mark.parametrize(
    "path",
    [
        "../main.py",
        "/main.py",
        "sensors/../../main.py",
        "..",
        "./start.py",
        "sensors//large.py",
        "",
        "trial",
        "manifest",
        ".py",
        "sensors/",
    ],
)
async def test_path_that_is_none_of_the_port_is_refused(
    tmp_path: Path, releases: Releases, path: str
) -> None:
    releases.offer("9.0.0", {**FILES, path: b"1"})
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert f"{path!r} with 1 bytes is no file of the port" in printed
    assert not (flash / NEW).exists()
    assert (flash / "main.py").read_bytes() != b"1"


@pytest.mark.parametrize("size", [-1, 65537, 1 << 40])
async def test_size_that_no_file_of_the_port_has_is_refused(
    tmp_path: Path, releases: Releases, size: int
) -> None:
    files = {"start.py": [size, "0" * 64]}
    releases.offer_manifest({"version": "9.0.0", "mpy": None, "files": files})
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert f"'start.py' with {size} bytes is no file of the port" in printed
    assert not (flash / NEW).exists()


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        None,
        "text",
        {},
        {"version": "9.0.0", "mpy": None},
        {"version": "9.0.0", "mpy": None, "files": []},
        {"version": "9.0.0", "mpy": None, "files": {"start.py": 7}},
        {"version": "9.0.0", "mpy": None, "files": {"start.py": ["7", "00"]}},
        {"version": "new", "mpy": None, "files": {}},
        {"version": 9, "mpy": None, "files": {}},
    ],
)
async def test_malformed_manifest_is_refused(
    tmp_path: Path,
    releases: Releases,
    manifest: Any,  # noqa: ANN401
) -> None:
    releases.offer_manifest(manifest)
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert "no update: manifest.json: " in printed
    assert ". Write the release again" in printed
    assert not (flash / NEW).exists()


async def test_bytecode_for_other_firmware_is_refused(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES, mpy=7)
    [found], printed, flash = await check(tmp_path, releases.url)
    assert found is False
    assert "no update: manifest.json: bytecode for other firmware." in printed
    assert not (flash / NEW).exists()


FULL = """
import asyncio, os, vfs
from nor import BLOCK_BYTES, Nor
from sensorvision import update
class Link:
    async def up(self, needs_clock):
        pass
chip = Nor(bytearray(b"\\xff" * BLOCK_BYTES * blocks))
vfs.VfsLfs2.mkfs(chip)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(chip), "/")
os.mkdir("/sensorvision.new")
with open("/sensorvision.new/manifest", "w") as file:
    file.write("of an earlier version, whose place is needed" * 200)
before = os.statvfs("/")[3]
found = asyncio.run(update.check({"url": url, "key": key}, None, Link()))
say([found, before, os.statvfs("/")[3], os.listdir("/")])
"""


@pytest.mark.parametrize(("blocks", "fits"), [(20, True), (14, False)])
async def test_version_that_does_not_fit_is_not_fetched_and_old_ones_make_room(
    tmp_path: Path, run: Run, releases: Releases, blocks: int, fits: bool
) -> None:
    (tmp_path / "flash").mkdir()
    shutil.copy(FIRMWARE / "nor.py", tmp_path / "flash")
    releases.offer("9.0.0", FILES)
    found, before, after, names = await run(
        FULL, url=releases.url, key=KEY, blocks=blocks
    )
    assert found is fits
    # Less than it takes, until the earlier version has made room.
    assert before < 14
    assert names == (["sensorvision.new"] if fits else [])
    assert ("start.py" in releases.asked) is fits
    assert after > 0 if fits else after > before


async def test_version_that_failed_is_taken_again_once_the_manifest_is_another(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    [found], _, flash = await check(tmp_path, releases.url)
    assert found is True
    (flash / NEW / "trial").write_text("0")
    [found], printed, _ = await check(tmp_path, releases.url)
    assert found is False
    assert "update:" not in printed
    assert [name for name in releases.asked if name == "start.py"] == ["start.py"]
    releases.offer("9.0.0", {**FILES, "start.py": b"def run(): pass\n"})
    [found], printed, _ = await check(tmp_path, releases.url)
    assert found is True, printed
    assert (flash / NEW / "trial").read_text() == "20"


async def test_board_whose_main_never_starts_it_is_not_reset_for_ever(
    tmp_path: Path, releases: Releases
) -> None:
    releases.offer("9.0.0", FILES)
    found, printed, _ = await check(tmp_path, releases.url, checks=3)
    assert found == [True, False, False]
    assert printed.count("starts after a reset") == 1


async def test_signature_is_that_of_rfc_4231(run: Run) -> None:
    """Test cases 1, 2, 3, 4, 6 and 7 of RFC 4231."""
    program = """
from sensorvision.update import sign
say([sign(bytes.fromhex(key), bytes.fromhex(data)).hex() for key, data in vectors])
"""
    long = (
        b"This is a test using a larger than block-size key and a larger than block-size "
        b"data. The key needs to be hashed before being used by the HMAC algorithm."
    )
    vectors = {
        (b"\x0b" * 20, b"Hi There"): (
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (b"Jefe", b"what do ya want for nothing?"): (
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (b"\xaa" * 20, b"\xdd" * 50): (
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (bytes(range(1, 26)), b"\xcd" * 50): (
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        ): "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        (b"\xaa" * 131, long): (
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        ),
    }
    signed = await run(
        program, vectors=[[key.hex(), data.hex()] for key, data in vectors]
    )
    assert signed == list(vectors.values())
