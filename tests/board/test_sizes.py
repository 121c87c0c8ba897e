"""What the port costs on a board may only go down."""

import json
from pathlib import Path
import sys

import pytest

from sandbox import Sandbox

from .conftest import TOKEN
from .sizes import MEASURED_MODULES, compile_to, smallest_heap_bytes

BUDGETS = json.loads(
    Path(__file__).with_name("budgets.json").read_text(encoding="utf-8")
)


def test_bytecode_keeps_to_its_budgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = compile_to(tmp_path)
    totals = {
        name: sum(sizes[module] for module in modules)
        for name, modules in MEASURED_MODULES.items()
    }
    with capsys.disabled():
        sys.stdout.write(f"\n.mpy bytes: {totals}\n")
    for name, total in totals.items():
        assert total <= BUDGETS["mpy_bytes"][name]


async def test_one_reading_is_sent_in_the_heap_of_its_budget(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    smallest = await smallest_heap_bytes(sandbox.url, TOKEN)
    with capsys.disabled():
        sys.stdout.write(f"\nheap bytes: {smallest}\n")
    assert smallest <= BUDGETS["heap_bytes"]["http_bme280_settings"]
    assert sandbox.store.values("dev-a", "temperature")
