"""Measure temperature with a DS18B20, of which several may share one pin."""

import asyncio

from . import SensorError, const

_FAMILY = const(0x28)
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ_SCRATCHPAD = const(0xBE)

# The longest conversion, which is that of 12 bits (data sheet, electrical characteristics).
_CONVERSION_MS = const(750)
# 85 degrees, which a sensor says that has not converted since it got power (data sheet, table 1).
_POWER_ON = const(0x0550)


class DS18B20:
    """A DS18B20 with three wires, chosen by the id in its ROM where its pin has several."""

    OPTIONS = {
        "pin": (int, 18, 18, 0, 48),
        "rom": (str, "28ff641e8216c3a1", ""),
    }

    def __init__(self, options: dict):
        self.pin = options["pin"]
        self.rom = options["rom"].lower()

    async def read(self) -> dict[str, float]:
        """Measure once.

        Returns:
            `temperature` in degrees Celsius.

        Raises:
            SensorError: the sensor is not there, is one of several without `rom`, or says
                nothing that can be true.
        """
        from machine import Pin
        from onewire import OneWire

        bus = OneWire(Pin(self.pin))
        roms = {}
        for rom in bus.scan():
            if rom[0] == _FAMILY:
                roms[rom.hex()] = rom
        problem = "no answer"
        if roms:
            # A single one is the only key, and needs not be chosen.
            ids = " or ".join(roms)
            rom = roms.get(self.rom or ids)
            if not rom:
                raise SensorError(f"rom {self.rom!r} is not on pin {self.pin}. Choose {ids}")
            bus.reset()
            bus.writebyte(_SKIP_ROM)
            bus.writebyte(_CONVERT)
            await asyncio.sleep_ms(_CONVERSION_MS)
            scratchpad = bytearray(9)
            bus.reset()
            bus.select_rom(rom)
            bus.writebyte(_READ_SCRATCHPAD)
            bus.readinto(scratchpad)
            raw = scratchpad[1] << 8 | scratchpad[0]
            # Nothing but zeros, as from a data wire on ground, has a right checksum.
            if bus.crc8(scratchpad) or not any(scratchpad):
                problem = "a broken answer"
            elif raw != _POWER_ON:
                return {"temperature": (raw - (raw >> 15 << 16)) / 16}
            else:
                problem = "85.0 C after a loss of power"
        raise SensorError(
            f"{problem} on pin {self.pin}. "
            "Check power, ground, data wire and its pull-up of 4.7 kOhm"
        )
