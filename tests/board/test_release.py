"""Releases: what boards fetch over the air, and what people unpack onto them."""

import hashlib
import json
from pathlib import Path
import zipfile

import pytest

from micropython import ROOT
from micropython.provision.errors import Exit, ProvisionError
from micropython.provision.manifest import device_files
from micropython.provision.release import port_version, write_release, write_zip
from micropython.simulator import SimulatedBoard
from proofs.releases import KEY, offering
from sandbox import Sandbox

from .conftest import healthy_world, node_settings
from .test_update import check


def contents(directory: Path) -> dict[str, bytes]:
    """Return the files of a directory by their path in it."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def ports_files(suffix: str) -> set[str]:
    """Return what the port's directory holds, with this suffix."""
    return {
        str(Path(target.removeprefix("sensorvision/")).with_suffix(suffix))
        for target in device_files()
        if target.startswith("sensorvision/")
    }


def test_version_is_the_same_wherever_it_is_written() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    manifest = ROOT / "custom_components" / "sensorvision" / "manifest.json"
    assert package["version"] == port_version()
    assert json.loads(manifest.read_text())["version"] == port_version()


@pytest.mark.parametrize(("mpy_version", "suffix"), [(6, ".mpy"), (None, ".py")])
def test_release_names_each_file_of_the_port(
    tmp_path: Path, mpy_version: int | None, suffix: str
) -> None:
    write_release(tmp_path, "9.1.0", mpy_version=mpy_version)
    files = contents(tmp_path)
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["version"] == "9.1.0"
    assert manifest["mpy"] == mpy_version
    assert set(files) == set(manifest["files"]) == ports_files(suffix)
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        assert manifest["files"][name] == [len(content), digest]
    # What would be fetched again and again otherwise.
    assert b"9.1.0" in files[f"__init__{suffix}"]


def test_manifest_is_as_small_as_boards_want_it(tmp_path: Path) -> None:
    write_release(tmp_path, "100.100.100", KEY)
    assert (tmp_path / "manifest.json").stat().st_size < 8192
    assert (tmp_path / "manifest.sig").stat().st_size == 64


def test_release_over_another_one_leaves_no_draft(tmp_path: Path) -> None:
    write_release(tmp_path, "9.1.0", KEY)
    before = contents(tmp_path)
    write_release(tmp_path, "9.2.0", KEY)
    after = contents(tmp_path)
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"__init__.mpy", "manifest.json", "manifest.sig"}


@pytest.mark.parametrize("version", ["", "new", "1.", "1.2b", "v1.2", "1..2"])
def test_version_that_boards_can_not_compare_is_refused(
    tmp_path: Path, version: str
) -> None:
    with pytest.raises(ProvisionError, match=r"can't be compared\. Write it") as caught:
        write_release(tmp_path, version)
    assert caught.value.code == Exit.SETTINGS
    assert list(tmp_path.iterdir()) == []


def test_key_that_can_be_guessed_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="has 7 characters") as caught:
        write_release(tmp_path, "9.1.0", "letmein")
    assert "letmein" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


async def test_board_takes_a_release_and_runs_it(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_release(tmp_path / "release", "9.1.0", KEY)
    files = contents(tmp_path / "release")
    async with offering() as releases:
        releases.files = files
        [found], printed, flash = await check(tmp_path, releases.url)
    assert found is True, printed
    board = SimulatedBoard(tmp_path / "board", healthy_world())
    main = device_files()["main.py"].read_text(encoding="utf-8")
    (flash / "main.py").write_text(main, encoding="utf-8")
    settings = json.dumps(node_settings(sandbox.url))
    (flash / "settings.json").write_text(settings, encoding="utf-8")
    async with board:
        await board.wait_for_line("sensorvision 9.1.0 on ")
        await board.wait_for_line("delivered ")
    assert sandbox.store.values("dev-a", "temperature")


def test_zip_is_the_same_each_time(tmp_path: Path) -> None:
    write_zip(tmp_path / "one.zip")
    write_zip(tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


async def test_unpacked_zip_is_a_board_that_reports(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    write_zip(tmp_path / "board.zip")
    board = SimulatedBoard(tmp_path / "board", healthy_world())
    with zipfile.ZipFile(tmp_path / "board.zip") as archive:
        archive.extractall(board.flash)
    assert set(contents(board.flash)) == {
        "main.py",
        *(
            target.replace(".py", ".mpy")
            for target in device_files()
            if target != "main.py"
        ),
        "README.txt",
        "settings.example.json",
    }
    assert port_version() in (board.flash / "README.txt").read_text()
    assert "device_id" in json.loads(
        (board.flash / "settings.example.json").read_text()
    )
    (board.flash / "settings.json").write_text(json.dumps(node_settings(sandbox.url)))
    async with board:
        await board.wait_for_line("delivered ")
    assert sandbox.store.values("dev-a", "temperature")
