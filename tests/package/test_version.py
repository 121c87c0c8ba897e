"""What the client says of its own build."""

import json
from pathlib import Path
import platform
import subprocess
import sys
import tarfile

import pytest

import sensorvision
from sensorvision import version

ROOT = Path(__file__).resolve().parent.parent.parent
MANIFEST = ROOT / "custom_components" / "sensorvision" / "manifest.json"
VERSION = "custom_components/sensorvision/client/version.py"


def test_version_is_that_of_the_integration() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    assert sensorvision.__version__ == manifest["version"]


def test_checkout_does_not_know_its_revision() -> None:
    assert sensorvision.build_info().revision == "unknown"


def test_user_agent_names_version_revision_and_interpreter() -> None:
    assert version.user_agent() == (
        f"sensorvision/{sensorvision.__version__} (unknown) "
        f"CPython/{platform.python_version()}"
    )


def test_archive_knows_the_commit_that_it_was_made_from(tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    with archive.open("wb") as output:
        subprocess.run(
            ["git", "archive", "HEAD", VERSION], cwd=ROOT, stdout=output, check=True
        )
    with tarfile.open(archive) as opened:
        opened.extract(VERSION, tmp_path, filter="data")
    said = subprocess.run(
        [sys.executable, "-c", "import version; print(version.build_info().revision)"],
        cwd=(tmp_path / VERSION).parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(said) >= 7
    assert commit.startswith(said)


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'SensorVisonClient'"):
        _ = sensorvision.SensorVisonClient  # type: ignore[attr-defined]
