"""Hold the rules of the house: who may import whom, and what no file may say."""

import ast
from collections.abc import Iterator
import json
from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parent.parent
INTEGRATION = ROOT / "custom_components" / "sensorvision"
CLIENT = INTEGRATION / "client"
DEVICE = ROOT / "micropython" / "device"
COMMAND = ROOT / "cli"
PROVISION = ROOT / "micropython" / "provision"

FIRMWARE = {
    "asyncio",
    "binascii",
    "dht",
    "errno",
    "esp32",
    "gc",
    "hashlib",
    "io",
    "json",
    "machine",
    "micropython",
    "network",
    "ntptime",
    "onewire",
    "os",
    "random",
    "rp2",
    "select",
    "socket",
    "ssl",
    "struct",
    "sys",
    "time",
    "tls",
}


def imported(path: Path) -> Iterator[str]:
    """Yield what a file imports, with dots in front of what is relative."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if node.module:
                yield module
            else:
                yield from (f"{module}{alias.name}" for alias in node.names)


def files(folder: Path) -> list[Path]:
    """Return the Python files of a folder, which must have some."""
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def test_protocol_imports_json_alone() -> None:
    """So that the same file runs on a board."""
    assert set(imported(CLIENT / "protocol.py")) == {"json"}


@pytest.mark.parametrize("path", files(CLIENT), ids=lambda path: path.name)
def test_client_knows_nothing_of_home_assistant(path: Path) -> None:
    """So that it can be published by itself."""
    for module in imported(path):
        assert not module.startswith(("homeassistant", "custom_components", "..")), (
            module
        )


@pytest.mark.parametrize(
    "path", [*files(COMMAND), *files(PROVISION)], ids=lambda path: path.name
)
def test_command_line_knows_only_the_client(path: Path) -> None:
    """Where it is installed there is nothing else of this repository."""
    roots = {module.split(".")[0] for module in imported(path)}
    others = {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    assert not roots & (others - {"sensorvision"})


def test_layers_of_the_client_look_down_only() -> None:
    """The outbox knows nothing of the network, and nobody below knows the delivery."""
    layers = ["protocol", "exceptions", "http", "outbox", "delivery"]
    for height, layer in enumerate(layers):
        modules = {module.lstrip(".") for module in imported(CLIENT / f"{layer}.py")}
        assert not modules & set(layers[height + 1 :]), layer
    assert not {".http", ".delivery", "aiohttp"} & set(imported(CLIENT / "outbox.py"))


def test_one_module_of_the_client_knows_the_library_for_mqtt() -> None:
    """Who sends over HTTP needs not have it."""
    users = {path.name for path in files(CLIENT) if "aiomqtt" in set(imported(path))}
    assert users == {"mqtt_session.py"}


def test_two_modules_of_the_client_know_the_library_that_blocks() -> None:
    """Who has an event loop needs not have it."""
    users = {path.name for path in files(CLIENT) if "requests" in set(imported(path))}
    assert users == {"sync.py", "sync_transport.py"}


@pytest.mark.parametrize("pure", ["mapping", "mends", "names"])
def test_translation_is_pure(pure: str) -> None:
    """They see states, names and facts, never the running integration."""
    relative = {
        module
        for module in imported(INTEGRATION / f"{pure}.py")
        if module.startswith(".")
    }
    assert relative <= {".client.protocol", ".mends"}


@pytest.mark.parametrize(
    "low",
    [
        "backfill",
        "backfill_job",
        "broker_connection",
        "brokers",
        "capture",
        "choice",
        "details",
        "devices",
        "filling",
        "http_route",
        "ledger",
        "mirror",
        "mirror_form",
        "problems",
        "provisioning",
        "recorded",
        "registration",
        "removal",
        "resolver",
        "routes",
        "selection",
        "stopping",
        "stored_times",
        "telling",
        "tokens",
        "ways",
    ],
)
def test_nothing_points_back_at_the_runtime(low: str) -> None:
    """Status flows out by callback."""
    modules = set(imported(INTEGRATION / f"{low}.py"))
    assert not {".runtime", ".entity", ".config_flow", "."} & modules


@pytest.mark.parametrize("path", files(DEVICE), ids=lambda path: path.name)
def test_board_imports_only_firmware_and_itself(path: Path) -> None:
    """A board has nothing else."""
    for module in imported(path):
        root = module.split(".")[0]
        assert root in FIRMWARE | {"sensorvision", ""}, module


@pytest.mark.parametrize("path", files(ROOT / "sandbox"), ids=lambda path: path.name)
def test_sandbox_is_the_other_side_of_the_wire(path: Path) -> None:
    """It must be able to contradict the clients."""
    for module in imported(path):
        root = module.split(".")[0]
        assert root not in {"custom_components", "micropython", "homeassistant"}


@pytest.mark.parametrize(
    ("user", "allowed"),
    [("demo", {"benchmarks", "proofs"}), ("benchmarks", {"proofs"}), ("proofs", set())],
)
def test_what_uses_everything_is_used_by_nothing(user: str, allowed: set[str]) -> None:
    """So that it can change with what it shows or measures."""
    used_by = {
        folder
        for folder in (
            "custom_components",
            "sandbox",
            "micropython",
            "demo",
            "benchmarks",
            "proofs",
        )
        for path in files(ROOT / folder)
        if folder != user
        and user in {module.split(".")[0] for module in imported(path)}
    }
    assert used_by <= allowed


def test_package_is_read_by_old_pythons() -> None:
    """The client promises Python 3.8, and its command line with it."""
    for path in (*files(CLIENT), *files(COMMAND), *files(PROVISION)):
        ast.parse(path.read_text(), feature_version=(3, 8))


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    """The project must stand alone on any machine."""
    forbidden = re.compile(
        "|".join(
            (
                "py" + r"pi\.org",
                "python" + r"hosted\.org",
                "registry" + r"\.npm",
                "deb" + r"\.debian",
                "/wo" + "rk/",
                "/ro" + "ot/",
                r"\.\./sha" + "red",
            )
        )
    )
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = [
        name
        for name in tracked
        if (ROOT / name).suffix not in {".png", ".ico"}
        and (ROOT / name).is_file()
        and forbidden.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert len(tracked) > 50
    assert found == []


def test_public_address_is_that_of_the_manifest() -> None:
    """It is not decided yet, so whoever decides must not have to search for it."""
    manifest = json.loads((INTEGRATION / "manifest.json").read_text())
    address = manifest["documentation"]
    found = subprocess.run(
        ["git", "grep", "-hoE", "github[.]com/sensorvision-ha[a-z/-]*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert len(found) > 3
    for place in found:
        assert f"https://{place}/".startswith(f"{address}/"), place


def test_each_picture_is_shown_and_is_there() -> None:
    """Pictures are taken anew by a script, which names the files itself."""
    shown = {
        (page.parent / target).resolve()
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for target in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text())
    }
    assert shown == set((ROOT / "docs" / "images").iterdir())


def test_python_is_what_home_assistant_needs() -> None:
    """Home Assistant of 2026 runs on nothing older."""
    assert sys.version_info >= (3, 14, 2)
