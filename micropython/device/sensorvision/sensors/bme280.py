"""Measure temperature, pressure and humidity with a Bosch BME280, or a BMP280 without the last."""

import asyncio
import struct

from . import SensorError, const

_CALIBRATION = const(0x88)
_CHIP_ID = const(0xD0)
_HUMIDITY_CALIBRATION = const(0xE1)
_CTRL_HUM = const(0xF2)
_STATUS = const(0xF3)
_CTRL_MEAS = const(0xF4)
_DATA = const(0xF7)

_BME280 = const(0x60)
_BMP280 = const(0x58)
_BME680 = const(0x61)

_BUSY = const(0x09)

_SKIPPED = const(0x80000)
_HUMIDITY_SKIPPED = const(0x8000)

# One conversion of all three takes at most 9.3 ms (data sheet, appendix 9.1).
_CONVERSION_MS = const(10)
_POLLS = const(10)

_ENODEV = const(19)


class BME280:
    """A BME280 or BMP280 on two pins as an I2C bus, in forced mode: it sleeps between readings."""

    OPTIONS = {
        "sda": (int, 21, 21, 0, 48),
        "scl": (int, 22, 22, 0, 48),
        "address": (int, 118, None, 118, 119),
    }

    def __init__(self, options: dict):
        self._options = options
        self._bus = None
        self._calibration = None

    async def read(self) -> dict[str, float]:
        """Measure once.

        Returns:
            `temperature` in degrees Celsius, `pressure` in hPa and `humidity` in percent,
            without those that the chip did not measure.

        Raises:
            SensorError: nothing answers, it is another chip, or it does not finish.
        """
        wanted = self._options["address"]
        addresses = (wanted,) if wanted else (0x76, 0x77)
        try:
            if not self._calibration:
                self._find(addresses)
            return await self._measure()
        except OSError as err:
            # The chip may have been replaced when it answers again.
            self._calibration = None
            raise SensorError(
                "no answer at I2C address {} (error {}). Check power, ground, "
                "SDA on pin {} and SCL on pin {}".format(
                    " or ".join(map(hex, addresses)),
                    err.errno,
                    self._options["sda"],
                    self._options["scl"],
                )
            ) from None

    def _find(self, addresses):
        if not self._bus:
            from machine import Pin, SoftI2C

            self._bus = SoftI2C(Pin(self._options["scl"]), Pin(self._options["sda"]))
        read = self._bus.readfrom_mem
        for address in addresses:
            try:
                chip = read(address, _CHIP_ID, 1)[0]
            except OSError:
                continue
            break
        else:
            raise OSError(_ENODEV)
        if chip not in (_BME280, _BMP280):
            raise SensorError(
                "the chip at address {:#x} is {}, not a BME280 (id {:#x})".format(
                    address, "a BME680" if chip == _BME680 else "unknown", chip
                )
            )
        self._address = address
        low = read(address, _CALIBRATION, 26)
        humidity = None
        if chip == _BME280:
            high = read(address, _HUMIDITY_CALIBRATION, 7)
            h2, h3, h4, middle, h5, h6 = struct.unpack("<hBbBbb", high)
            humidity = low[25], h2, h3, h4 << 4 | middle & 15, h5 << 4 | middle >> 4, h6
        self._calibration = struct.unpack("<HhhHhhhhhhhh", low) + (humidity,)

    async def _measure(self):
        bus = self._bus
        address = self._address
        calibration = self._calibration
        # Each quantity once, in forced mode. The chip takes over ctrl_hum only when
        # ctrl_meas is written (data sheet 5.4.3).
        if calibration[12]:
            bus.writeto_mem(address, _CTRL_HUM, b"\x01")
        bus.writeto_mem(address, _CTRL_MEAS, b"\x25")
        for _ in range(_POLLS):
            await asyncio.sleep_ms(_CONVERSION_MS)
            if not bus.readfrom_mem(address, _STATUS, 1)[0] & _BUSY:
                break
        else:
            raise SensorError(
                f"the chip at address {address:#x} does not finish measuring. "
                "Check its 3.3 V supply"
            )
        p, p_low, t, t_low, adc_h = struct.unpack(">HBHBH", bus.readfrom_mem(address, _DATA, 8))
        adc_p = p << 4 | p_low >> 4
        adc_t = t << 4 | t_low >> 4
        readings = {}
        if adc_t == _SKIPPED:
            return readings
        fine = fine_temperature(calibration, adc_t)
        readings["temperature"] = ((fine * 5 + 128) >> 8) / 100
        if adc_p != _SKIPPED:
            pressure = pressure_256ths(calibration, fine, adc_p)
            if pressure:
                readings["pressure"] = ((pressure + 128) >> 8) / 100
        if calibration[12] and adc_h != _HUMIDITY_SKIPPED:
            humidity = humidity_1024ths(calibration[12], fine, adc_h)
            readings["humidity"] = ((humidity * 100 + 512) >> 10) / 100
        return readings


def fine_temperature(calibration: tuple, adc: int) -> int:
    """Return the temperature in 1/5120 degrees Celsius (BME280 data sheet, 4.2.3)."""
    t1, t2, t3 = calibration[:3]
    linear = (((adc >> 3) - (t1 << 1)) * t2) >> 11
    offset = (adc >> 4) - t1
    return linear + ((((offset * offset) >> 12) * t3) >> 14)


def pressure_256ths(calibration: tuple, fine: int, adc: int) -> int:
    """Return the pressure in 1/256 Pa (BME280 data sheet, 4.2.3), or 0 without calibration."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration[3:12]
    x = fine - 128000
    offset = x * x * p6 + ((x * p5) << 17) + (p4 << 35)
    scale = ((x * x * p3) >> 8) + ((x * p2) << 12)
    scale = (((1 << 47) + scale) * p1) >> 33
    if not scale:
        return 0
    # The division of the data sheet's C code cuts towards zero; both sides are positive here.
    pressure = (((1048576 - adc) << 31) - offset) * 3125 // scale
    square = (p9 * (pressure >> 13) * (pressure >> 13)) >> 25
    return ((pressure + square + ((p8 * pressure) >> 19)) >> 8) + (p7 << 4)


def humidity_1024ths(calibration: tuple, fine: int, adc: int) -> int:
    """Return the relative humidity in 1/1024 percent (BME280 data sheet, 4.2.3)."""
    h1, h2, h3, h4, h5, h6 = calibration
    x = fine - 76800
    left = ((adc << 14) - (h4 << 20) - h5 * x + 16384) >> 15
    right = ((((x * h6) >> 10) * (((x * h3) >> 11) + 32768)) >> 10) + 2097152
    x = left * ((right * h2 + 8192) >> 14)
    x -= ((((x >> 15) * (x >> 15)) >> 7) * h1) >> 4
    return x >> 12
