"""The package, built once; and the Pythons that it is installed into."""

from dataclasses import dataclass
import os
from pathlib import Path
import subprocess
import zipfile

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# What is in there is run by the Pythons that the package is installed into.
collect_ignore = ["installed"]

_TRIED: list[str] = []


@dataclass(frozen=True)
class Package:
    """What others install.

    Attributes:
        wheel: the wheel's file.
        sdist: the sdist's file.
        commit: what both were built from.
    """

    wheel: Path
    sdist: Path
    commit: str

    def names(self) -> set[str]:
        """Name the files in the wheel."""
        with zipfile.ZipFile(self.wheel) as opened:
            return set(opened.namelist())


@dataclass(frozen=True)
class Environment:
    """A Python that holds the package, and what it was installed with.

    Attributes:
        folder: its virtual environment.
    """

    folder: Path

    @property
    def python(self) -> str:
        """Return the path of its interpreter."""
        return str(self.folder / "bin" / "python")

    def install(self, package: Package) -> None:
        """Install the package, in place of one that is there; nothing else may be missing."""
        output(
            *(*_UV, "install", "--offline", "--no-deps", "--reinstall"),
            *("--python", self.python, str(package.wheel)),
        )
        output(*_UV, "check", "--python", self.python)
        version = output(
            self.python, "-c", "import platform as p; print(p.python_version())"
        )
        _TRIED.append(f"CPython {version} ({self.folder.name})")


_UV = ("bash", "-c", '. scripts/environment && exec "$UV" --quiet pip "$@"', "uv")


def output(*command: str, **environment: str) -> str:
    """Return what a command prints, which must end well."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Build the package from what is in this checkout now, committed or not."""
    author = {
        f"GIT_{role}_{what}": "tests@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    commit = output("git", "stash", "create", **author) or output(
        "git", "rev-parse", "HEAD"
    )
    directory = tmp_path_factory.mktemp("package")
    output("scripts/package", str(directory), commit)
    (wheel,) = directory.glob("*.whl")
    (sdist,) = directory.glob("*.tar.gz")
    return Package(wheel, sdist, commit)


@pytest.fixture(scope="session", params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest, package: Package) -> Environment:
    """Install the package with all its extras into a Python."""
    return _installed(request.param, package)


@pytest.fixture(scope="session")
def bare_environment(package: Package) -> Environment:
    """Install the package without any extra."""
    return _installed("bare", package)


def _installed(name: str, package: Package) -> Environment:
    environment = Environment(ROOT / f".venv-installed-{name}")
    environment.install(package)
    return environment


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which Pythons the package was installed into."""
    for tried in _TRIED:
        terminalreporter.write_line(f"The package was installed into {tried}.")
