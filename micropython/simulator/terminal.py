"""Put a simulated board behind a terminal, so that the real mpremote can talk to it."""

import fcntl
import os
from pathlib import Path
import pty
import select
import signal
import termios
import time
import tty

from micropython.simulator import process

_READ_BYTES = 4096
_TICK_S = 0.1
_PROMPT_DEADLINE_S = 0.2
_PROMPT_POLL_S = 0.002
_REBOOT_DEADLINE_S = 10.0
_READER_DEADLINE_S = 2.0
_UF2_BLOCK_BYTES = 512


_INTERRUPT = b"\x03"
_ENTER_RAW_REPL = b"\x01"
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY_PROMPT = b'Type "help()"'
_SOFT_REBOOT = b"MPY: soft reboot\r\n"


class Terminal:
    """A board whose serial port is a pseudo-terminal of this host.

    The unix port ends where a board restarts, so it is started again here: after a reset,
    after a soft reset (Ctrl-D), which keeps raw mode as firmware does, and after a bite of
    the watchdog.

    Args:
        flash: the image file or directory that the board has as its file system.
        world: the world file.
        heap: the board's memory, such as `192k`.
        blocks: 4 KB blocks of a new image.
        drive: a folder that the board's boot loader shows as the drive of a Pico, or None
            for a board without one.

    Attributes:
        path: the pseudo-terminal that stands for the board's serial port.
    """

    def __init__(
        self,
        flash: Path,
        world: Path,
        *,
        heap: str,
        blocks: int,
        drive: Path | None = None,
    ) -> None:
        self._flash = flash
        self._drive = drive
        self._world = world
        self._heap = heap
        self._blocks = blocks
        self._host_end, board_end = pty.openpty()
        tty.setraw(board_end)
        os.set_blocking(self._host_end, False)
        # Stays open, or the host's end would report an error between two clients.
        self._board_end = board_end
        self.path = os.ttyname(board_end)
        self._watchdog = process.Watchdog()
        self._is_raw = False
        self._is_read = True
        self._child, self._console = self._start(process.POWER_ON)

    def run(self) -> None:
        """Pass bytes on for as long as the process lives."""
        while True:
            ready, _, _ = select.select(
                [self._host_end, self._console], [], [], _TICK_S
            )
            if self._console in ready:
                self._pass_output()
            if self._host_end in ready:
                self._pass_input(os.read(self._host_end, _READ_BYTES))
            left_s = self._watchdog.bites_in_s(time.monotonic())
            if left_s is not None and left_s <= 0:
                os.kill(self._child, signal.SIGKILL)

    def close(self) -> None:
        """Cut the board's power."""
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        for end in (self._console, self._host_end, self._board_end):
            os.close(end)
        self._watchdog.close()

    def _start(self, cause: int) -> tuple[int, int]:
        child, console = pty.fork()
        if child == 0:
            self._become_board(cause)
        attributes = termios.tcgetattr(console)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~(termios.ECHO | termios.ICANON)
        attributes[3] |= termios.ISIG
        termios.tcsetattr(console, termios.TCSANOW, attributes)
        return child, console

    def _become_board(self, cause: int) -> None:
        fd = self._watchdog.feeding_end
        fcntl.fcntl(fd, fcntl.F_SETFD, 0)
        environment = process.environment(
            self._flash, self._world, fd, reset_cause=cause, blocks=self._blocks
        )
        environment["BOARD_PROMPT"] = "1"
        environment["BOARD_RAW_REPL"] = str(int(self._is_raw))
        if self._flash.is_dir():
            os.chdir(self._flash)
        command = process.command(self._heap)
        os.execve(command[0], command, environment)

    def _pass_output(self) -> None:
        try:
            data = os.read(self._console, _READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._restart()
            return
        if _RAW_PROMPT in data:
            self._is_raw = True
        elif _FRIENDLY_PROMPT in data:
            self._is_raw = False
        self._print(data)

    def _print(self, data: bytes) -> None:
        """Send output to whoever reads it; what nobody reads is lost, as on a real port."""
        deadline_s = _READER_DEADLINE_S if self._is_read else 0.0
        while data:
            _, writable, _ = select.select([], [self._host_end], [], deadline_s)
            self._is_read = bool(writable)
            if not writable:
                return
            data = data[os.write(self._host_end, data) :]

    def _pass_input(self, data: bytes) -> None:
        while data:
            before, interrupt, data = data.partition(_INTERRUPT)
            if before:
                os.write(self._console, before)
            if interrupt:
                self._interrupt()

    def _interrupt(self) -> None:
        """Break into the program as Ctrl-C does.

        At a prompt the byte itself has to arrive; a running program needs the signal.
        """
        deadline = time.monotonic() + _PROMPT_DEADLINE_S
        while time.monotonic() < deadline:
            if self._is_at_prompt():
                os.write(self._console, _INTERRUPT)
                return
            time.sleep(_PROMPT_POLL_S)
        os.kill(self._child, signal.SIGINT)

    def _is_at_prompt(self) -> bool:
        try:
            call = (
                Path(f"/proc/{self._child}/syscall").read_text(encoding="ascii").split()
            )
        except OSError:
            return False
        # Blocked in read(0, ...): the unix port asks for a key in no other way.
        return call[:2] == ["0", "0x0"]

    def _restart(self) -> None:
        _, status = os.waitpid(self._child, 0)
        os.close(self._console)
        code = os.waitstatus_to_exitcode(status)
        if code == process.EXIT_BOOTLOADER and self._drive:
            self._take_firmware(self._drive)
            code = process.EXIT_RESET
        cause = process.WATCHDOG if code == -signal.SIGKILL else process.cause_of(code)
        if cause:
            self._is_raw = False
            self._watchdog.reset()
            self._child, self._console = self._start(cause)
            return
        self._print(_SOFT_REBOOT)
        self._child, self._console = self._start(process.SOFT_RESET)
        if self._is_raw:
            os.write(self._console, _ENTER_RAW_REPL)
            self._skip_banner()

    def _take_firmware(self, drive: Path) -> None:
        """Wait for a whole UF2 file on the drive, as the boot loader of a Pico does."""
        drive.mkdir(exist_ok=True)
        info = drive / "INFO_UF2.TXT"
        info.write_text("UF2 Bootloader v3.0\nBoard-ID: RPI-RP2\n", encoding="ascii")
        while not any(
            (size := file.stat().st_size) and not size % _UF2_BLOCK_BYTES
            for file in drive.glob("*.uf2")
        ):
            time.sleep(_TICK_S)
        info.unlink()

    def _skip_banner(self) -> None:
        """Drop what the unix port says on its way back into the raw prompt."""
        output = b""
        deadline = time.monotonic() + _REBOOT_DEADLINE_S
        while _RAW_PROMPT not in output and time.monotonic() < deadline:
            ready, _, _ = select.select([self._console], [], [], _TICK_S)
            if ready:
                output += os.read(self._console, _READ_BYTES)
        printed, _, _ = output.partition(b"MicroPython ")
        self._print(printed + _RAW_PROMPT + output.partition(_RAW_PROMPT)[2])
