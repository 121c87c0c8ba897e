"""The settings in force are shown, with the place that each comes from."""

from pathlib import Path

from .command import Command


async def test_nearer_place_wins_and_is_named(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "sensorvision.toml").write_text(
        'url = "http://file.example"\ndevice_id = "pump"\nusername = "file"\n'
        'fallback_urls = ["http://second.example"]\nretries = 2\n'
    )
    command = bare.with_variables(
        SENSORVISION_USERNAME="variable", SENSORVISION_PASSWORD="secret-of-alice"
    )
    ended = await command("config", "--json", "--url", "http://option.example")
    told = ended.json()
    assert told["url"] == {"value": "http://option.example", "source": "an argument"}
    assert told["username"] == {
        "value": "variable",
        "source": "the variable SENSORVISION_USERNAME",
    }
    assert told["device_id"]["value"] == "pump"
    assert told["device_id"]["source"].endswith("sensorvision.toml")
    assert told["fallback_urls"]["value"] == ["http://second.example"]
    assert told["retries"]["value"] == 2
    assert told["mqtt_port"] == {"value": None, "source": "default"}
    assert "secret-of-alice" not in ended.out
    shown = await command("config")
    assert "secret-of-alice" not in shown.out
    assert "***" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


async def test_file_is_named_by_an_option(bare: Command, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('device_id = "pump"\n')
    told = (await bare("config", "--json", "--config", "other.toml")).json()
    assert told["device_id"]["value"] == "pump"


async def test_wrong_setting_is_told_with_its_place(
    bare: Command, tmp_path: Path
) -> None:
    (tmp_path / "sensorvision.toml").write_text('ulr = "http://file.example"\n')
    ended = await bare("config", "--json")
    assert ended.code == 6
    assert ended.error()["error"] == "config"
    assert ended.error()["remedy"].startswith("Did you mean url")
