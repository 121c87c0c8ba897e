"""Stand in for a board's radio: the statuses it goes through, as the world scripts them."""

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
    _is_refused = False

    def __init__(self, interface=STA_IF):
        pass

    def active(self, on=None):
        """Tell whether the radio is on, or switch it."""
        if on is None:
            return WLAN._is_active
        WLAN._is_active = bool(on)
        if not on:
            WLAN._joined = None
        return None

    def config(self, *names, **values):
        """Read or set an option, as far as this port's radio has it."""
        if "reconnects" in values and self._port() != "esp32":
            raise ValueError("unknown config param")
        return 0

    def connect(self, ssid, key=None):
        """Begin to join a network; `status` tells how that goes."""
        if not WLAN._is_active or (self._port() == "esp32" and WLAN._joined is not None):
            raise OSError("Wifi Internal Error")
        radio = self._radio()
        WLAN._joined = radio
        WLAN._polls = 0
        WLAN._is_refused = radio.get("password", key) != key

    def disconnect(self):
        """Leave the network."""
        WLAN._joined = None

    def isconnected(self):
        """Tell whether the board has an address."""
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
        if WLAN._is_refused and status == _UP[self._port()]:
            return _WRONG_PASSWORD[self._port()]
        return status

    def ifconfig(self):
        """Return address, net mask, gateway and name server."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def _port(self):
        return self._radio().get("port", "esp32")

    def _radio(self):
        return world().get("wlan") or {"statuses": [STAT_IDLE]}
