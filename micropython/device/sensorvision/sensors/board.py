"""Tell how the board itself is: its temperature, supply and signal, and how long it runs."""

from ..clock import stamp  # noqa: TID252  the host loads it under another name


class BOARD:
    """The board, which leaves out what it can't measure."""

    OPTIONS = {
        "supply": (int, 35, None, 0, 48),
        "divider": (int, 2, 2, 1, 20),
    }

    def __init__(self, options: dict):
        self.options = options
        self._since_s = stamp()

    async def read(self) -> dict[str, float]:
        """Measure once.

        Returns:
            `uptime` in seconds since the program's start, `temperature` of the chip in
            degrees Celsius, `voltage` of the supply in volts and the radio's `rssi` in dBm.
        """
        from machine import ADC, Pin
        import network

        options = self.options
        # By the clock: the ticks start over after twelve days.
        readings = {"uptime": stamp() - self._since_s}
        try:
            readings["temperature"] = round(_temperature(ADC), 1)
        except AttributeError:
            # Not every chip has a thermometer, nor every firmware its driver.
            pass
        if options["supply"] is not None:
            volts = _volts(ADC(Pin(options["supply"])))
            readings["voltage"] = round(volts * options["divider"], 2)
        wlan = network.WLAN(network.STA_IF)
        if wlan.isconnected():
            readings["rssi"] = wlan.status("rssi")
        return readings


def _temperature(adc):
    try:
        import esp32
    except ImportError:
        # The formula of the RP2040's data sheet, 4.9.5, which holds for the RP2350 too.
        return 27 - (_volts(adc(adc.CORE_TEMP)) - 0.706) / 0.001721
    try:
        return esp32.mcu_temperature()
    except AttributeError:
        return (esp32.raw_temperature() - 32) / 1.8


def _volts(adc):
    if hasattr(adc, "read_uv"):
        adc.atten(adc.ATTN_11DB)
        return adc.read_uv() / 1000000
    return adc.read_u16() * 3.3 / 65535
