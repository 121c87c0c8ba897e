"""What stands beside the pins of each board, as its maker documents it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Board:
    """A board as it lies on the table, with the antenna or the plug of a Pico at the top.

    Attributes:
        key: names its pictures and its page in `docs/board`.
        title: what its maker calls it.
        left: the labels of the left row, from the top down.
        right: the same of the right row.
        rows: what the maker calls the two rows; None where pins are numbered around.
        has_plug_at_top: whether the USB plug is at the top.
    """

    key: str
    title: str
    left: str
    right: str
    rows: tuple[str, str] | None
    has_plug_at_top: bool = False

    def label(self, side: str, place: int) -> str:
        """Return what stands beside a pin, counted from 1 at the top of its row."""
        return self.row(side)[place - 1]

    def row(self, side: str) -> list[str]:
        """Return the labels of the `left` or the `right` row."""
        return (self.left if side == "left" else self.right).split()

    def pin(self, side: str, place: int) -> str:
        """Return the number that the maker gives a pin, such as `J3-6` or `pin 26`."""
        if self.rows:
            return f"{self.rows[side == 'right']}-{place}"
        if side == "left":
            return f"pin {place}"
        pins = len(self.row("left")) + len(self.row("right"))
        return f"pin {pins + 1 - place}"


# Each list is a table of the maker's guide, read from its first row to the last.
BOARDS = {
    board.key: board
    for board in (
        # docs.espressif.com, ESP32-DevKitC V4 user guide, header block
        Board(
            "esp32",
            "ESP32-DevKitC",
            "3V3 EN VP VN 34 35 32 33 25 26 27 14 12 GND 13 D2 D3 CMD 5V",
            "GND 23 22 TX RX 21 GND 19 18 5 17 16 4 0 2 15 D1 D0 CLK",
            ("J2", "J3"),
        ),
        # docs.espressif.com, ESP32-S3-DevKitC-1 user guide, header block
        Board(
            "esp32-s3",
            "ESP32-S3-DevKitC-1",
            "3V3 3V3 RST 4 5 6 7 15 16 17 18 8 3 46 9 10 11 12 13 14 5V GND",
            ("GND TX RX 1 2 42 41 40 39 38 37 36 35 0 45 48 47 21 20 19 GND GND"),
            ("J1", "J3"),
        ),
        # docs.espressif.com, ESP32-C3-DevKitM-1 user guide, header block
        Board(
            "esp32-c3",
            "ESP32-C3-DevKitM-1",
            "GND 3V3 3V3 2 3 GND RST GND 0 1 10 GND 5V 5V GND",
            "GND TX RX GND 9 8 GND 7 6 5 4 GND 18 19 GND",
            ("J1", "J3"),
        ),
        # Raspberry Pi, Pico W data sheet, figure 2; the Pico 2 W's pins are the same
        Board(
            "pico-w",
            "Raspberry Pi Pico W or Pico 2 W",
            (
                "GP0 GP1 GND GP2 GP3 GP4 GP5 GND GP6 GP7 GP8 GP9 GND GP10 GP11 "
                "GP12 GP13 GND GP14 GP15"
            ),
            (
                "VBUS VSYS GND 3V3_EN 3V3 VREF GP28 AGND GP27 GP26 RUN GP22 GND "
                "GP21 GP20 GP19 GP18 GND GP17 GP16"
            ),
            None,
            has_plug_at_top=True,
        ),
    )
}
