"""What the wheel and the sdist hold: all that is needed, once, and nothing else."""

from email import message_from_bytes
from pathlib import Path, PurePosixPath
import re
import shutil
import tarfile
import zipfile

from .conftest import Package, output

PLACES = {
    "custom_components/sensorvision/client": "sensorvision",
    "cli": "sensorvision_cli",
    "micropython/provision": "sensorvision_cli/board",
    "micropython/device": "sensorvision_cli/device",
}
LEFT_OUT = {"cli/board", "micropython/device/ruff.toml"}


def committed(package: Package, folder: str) -> set[str]:
    """Name the files of a folder in the commit that the package was built from."""
    names = output("git", "ls-tree", "-r", "--name-only", package.commit, f"{folder}/")
    return set(names.splitlines()) - LEFT_OUT


def test_wheel_holds_each_file_where_it_is_imported_from(package: Package) -> None:
    expected = {
        f"{place}/{PurePosixPath(name).relative_to(folder)}"
        for folder, place in PLACES.items()
        for name in committed(package, folder)
    }
    told = {name for name in package.names() if ".dist-info/" not in name}
    assert len(expected) > 80
    assert told == expected


def test_sdist_holds_each_file_once(package: Package) -> None:
    with tarfile.open(package.sdist) as opened:
        names = [
            member.name.partition("/")[2]
            for member in opened.getmembers()
            if member.isfile()
        ]
    sources = {name for folder in PLACES for name in committed(package, folder)}
    beside = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO"}
    assert len(names) == len(set(names))
    assert set(names) - {".gitignore"} == sources | beside


def test_wheel_of_a_checkout_is_that_of_the_sdist(
    package: Package, tmp_path: Path
) -> None:
    source = f"{tmp_path}/source"
    output(
        "bash", "-c",
        f'mkdir "{source}" && git archive {package.commit} | tar x -C "{source}"'
        f' && .venv-package/bin/python -m build --wheel --no-isolation --outdir "{tmp_path}" "{source}"',
    )  # fmt: skip
    with (
        zipfile.ZipFile(f"{tmp_path}/{package.wheel.name}") as ours,
        zipfile.ZipFile(package.wheel) as built,
    ):
        assert sorted(ours.namelist()) == sorted(built.namelist())
        for name in built.namelist():
            assert ours.read(name) == built.read(name), name


def test_metadata_is_what_an_index_shows(package: Package) -> None:
    with zipfile.ZipFile(package.wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith("/METADATA")]
        told = message_from_bytes(opened.read(name))
    assert told["Name"] == "sensorvision"
    assert told["License-Expression"] == "MIT"
    assert told["Requires-Python"] == ">=3.8"
    assert "Typing :: Typed" in told.get_all("Classifier", ())


def test_wheel_knows_the_commit_that_it_was_built_from(package: Package) -> None:
    with zipfile.ZipFile(package.wheel) as opened:
        told = opened.read("sensorvision/version.py").decode()
    found = re.search('_COMMIT = "([0-9a-f]{7,})"', told)
    assert found
    assert package.commit.startswith(found[1])


def test_it_uses_nothing_younger_than_the_oldest_python_it_promises(
    package: Package, tmp_path: Path
) -> None:
    with zipfile.ZipFile(package.wheel) as opened:
        opened.extractall(tmp_path)
    # What runs on a board has MicroPython's library, not Python's.
    shutil.rmtree(tmp_path / "sensorvision_cli" / "device")
    told = output(
        *(".venv-package/bin/vermin", "--target=3.8-", "--no-tips", "--violations"),
        *(f"{tmp_path}/sensorvision", f"{tmp_path}/sensorvision_cli"),
    )
    assert "Minimum required versions: 3." in told
