"""Start the unix port of MicroPython as a board, and read why it ended."""

import os
from pathlib import Path
import subprocess
import sys

FIRMWARE = Path(__file__).with_name("firmware")

EXIT_RESET = 64
EXIT_DEEP_SLEEP = 65
EXIT_BOOTLOADER = 66

# As `machine.reset_cause()` says it.
POWER_ON = 1
HARD_RESET = 2
WATCHDOG = 3
DEEP_SLEEP = 4
SOFT_RESET = 5


def command(heap: str) -> list[str]:
    """Return the command line of a board with so much heap, such as `192k`."""
    micropython = Path(sys.executable).with_name("micropython")
    return [str(micropython), "-X", f"heapsize={heap}", str(FIRMWARE / "boot.py")]


def environment(
    flash: Path,
    world: Path,
    watchdog_fd: int,
    *,
    reset_cause: int,
    blocks: int = 512,
    clock: Path | None = None,
) -> dict[str, str]:
    """Return the environment in which the boot script finds its flash and its world.

    Args:
        flash: an image file, made where it is missing, or a directory.
        world: the world file.
        watchdog_fd: where the board's watchdog is fed.
        reset_cause: why the board starts.
        blocks: 4 KB blocks of a new image.
        clock: where its time is kept, if it jumps.
    """
    return {
        **os.environ,
        "BOARD_FIRMWARE": str(FIRMWARE),
        "BOARD_FLASH": str(flash.resolve()),
        "BOARD_FLASH_BLOCKS": str(blocks),
        "BOARD_WORLD": str(world.resolve()),
        "BOARD_WATCHDOG_FD": str(watchdog_fd),
        "BOARD_RESET_CAUSE": str(reset_cause),
        **({"BOARD_CLOCK": str(clock.resolve())} if clock else {}),
    }


def cause_of(code: int) -> int | None:
    """Return why a board starts again whose program has ended so, or None if it does not."""
    return {EXIT_RESET: HARD_RESET, EXIT_DEEP_SLEEP: DEEP_SLEEP}.get(code)


def rtc_memory(world: Path) -> Path:
    """Return the file that holds what the board's clock remembers while it has power."""
    return world.with_name(world.name + ".rtc")


def pin_log(world: Path) -> Path:
    """Return the file that tells each change of the pins that the world watches."""
    return world.with_name(world.name + ".pins")


def fill(image: Path, source: Path, world: Path) -> None:
    """Make an image file, and put there what a directory of the host holds."""
    image.unlink(missing_ok=True)
    subprocess.run(
        [*command("1m")[:-1], str(FIRMWARE / "fill.py"), str(source.resolve())],
        env=environment(image, world, -1, reset_cause=POWER_ON),
        check=True,
    )


class Watchdog:
    """The board's watchdog as the host keeps it: a pipe that has to be fed in time.

    Attributes:
        has_lost_power: the board's power goes, now.
    """

    def __init__(self) -> None:
        self.fd, self.feeding_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._timeout_s: float | None = None
        self._fed_s = 0.0
        self.has_lost_power = False

    def close(self) -> None:
        """Close both ends of the pipe."""
        os.close(self.fd)
        os.close(self.feeding_end)

    def reset(self) -> None:
        """Switch the watchdog off, as a reset of the chip does."""
        self.bites_in_s(0.0)
        self._timeout_s = None
        self.has_lost_power = False

    def bites_in_s(self, now_s: float) -> float | None:
        """Read what the board has written, and return the seconds that are left.

        Returns:
            None while the watchdog is off; 0 or less when the board is to be killed.
        """
        try:
            words = os.read(self.fd, 4096).split()
        except BlockingIOError:
            words = []
        if b"cut" in words:
            self.has_lost_power = True
            return 0.0
        if b"bite" in words:
            return 0.0
        for word in words:
            self._fed_s = now_s
            if word == b"off":
                self._timeout_s = None
            elif word != b"feed":
                self._timeout_s = int(word) / 1000
        if self._timeout_s is None:
            return None
        return self._fed_s + self._timeout_s - now_s
