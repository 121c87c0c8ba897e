"""Stand in for a board's radio: the statuses it goes through, as the world scripts them."""

import time

from world import world

STA_IF = 0
AP_IF = 1

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010

# What the two firmware ports call no connection, a connection and a wrong password.
_IDLE = {"esp32": 1000, "cyw43": 0}
_UP = {"esp32": 1010, "cyw43": 3}
_WRONG_PASSWORD = {"esp32": 202, "cyw43": -3}
_NOBODY_THERE = {"esp32": 201, "cyw43": -2}

_DHCP = ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

_country = ""


def country(code=None):
    """Read or set the country whose radio rules hold."""
    global _country
    if code is None:
        return _country
    _country = code
    return None


class WLAN:
    """The station interface, one for the whole board."""

    IF_STA = STA_IF
    IF_AP = AP_IF
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    _is_active = False
    _joined = None
    _polls = 0
    _refusal = None
    _addresses = _DHCP

    def __init__(self, interface=STA_IF):
        pass

    def __getattr__(self, name):
        """Have `deinit` only where the port has it."""
        if name == "deinit" and self._port() == "cyw43":
            return self._deinit
        raise AttributeError(name)

    def active(self, on=None):
        """Tell whether the radio is on, or switch it."""
        if on is None:
            return WLAN._is_active
        self._hang("active")
        WLAN._is_active = bool(on)
        if not on:
            WLAN._joined = None
            WLAN._addresses = _DHCP
        return None

    def config(self, *names, **values):
        """Read or set an option, as far as this port's radio has it."""
        if "reconnects" in values and self._port() != "esp32":
            raise ValueError("unknown config param")
        return 0

    def connect(self, ssid, key=None):
        """Begin to join a network; `status` tells how that goes."""
        self._hang("connect")
        radio = self._radio()
        is_busy = self._port() == "esp32" and WLAN._joined is not None
        if not WLAN._is_active or is_busy or radio.get("refuses"):
            raise OSError("Wifi Internal Error")
        WLAN._joined = radio
        WLAN._polls = 0
        WLAN._refusal = None
        if ssid not in radio.get("ssids", (ssid,)):
            WLAN._refusal = _NOBODY_THERE
        elif radio.get("password", key) != key:
            WLAN._refusal = _WRONG_PASSWORD

    def disconnect(self):
        """Leave the network."""
        WLAN._joined = None

    def isconnected(self):
        """Tell whether the board has an address."""
        self._hang("isconnected")
        return self.status() == _UP[self._port()]

    def status(self, name=None):
        """Return the next scripted status, or the signal's strength in dBm."""
        if name == "rssi":
            return self._radio().get("rssi", -60)
        # A radio that drives no reconnection itself stays down once its link has gone.
        if WLAN._joined is None or WLAN._joined != self._radio():
            return _IDLE[self._port()]
        statuses = WLAN._joined["statuses"]
        WLAN._polls += 1
        status = statuses[min(WLAN._polls, len(statuses)) - 1]
        if WLAN._refusal and status == _UP[self._port()]:
            return WLAN._refusal[self._port()]
        return status

    def ifconfig(self, addresses=None):
        """Return address, net mask, gateway and name server, or set them."""
        if addresses is None:
            return WLAN._addresses
        WLAN._addresses = addresses
        return None

    def _deinit(self):
        self.active(False)

    def _hang(self, step):
        while self._radio().get("hangs") == step:
            time.sleep_ms(50)

    def _port(self):
        return self._radio().get("port", "esp32")

    def _radio(self):
        return world().get("wlan") or {"statuses": [STAT_IDLE]}
