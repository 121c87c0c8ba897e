"""The bench of a narrow choice on a busy bus still runs."""

from .running import lines_of

# The machine may be busy: how late is too late is judged on a quiet one.
_PATIENCE_S = "60"


def test_readings_of_a_chosen_sensor_arrive_while_a_batch_of_influxdb_waits() -> None:
    *rows, last = lines_of(
        *("filter", "--modes", "account", "influxdb v1", "--seconds", "2"),
        *("--sensors", "20", "--tolerance", _PATIENCE_S),
    )
    assert last["is_good"] is True
    found = last["medians"]["account"]
    assert (found["sent"], found["lost"]) == (2, 0)
    assert found["max_s"] >= found["p50_s"] > 0
    peers = [row for row in rows if row["mode"] == "influxdb v1" and not row["is_void"]]
    assert all(row["once_quiet"] == row["sent"] == 2 for row in peers)
