"""Bring every reading to a broker with the time at which it was true."""

import json

from micropython import const

from .clock import iso
from .mqtt import Refused, topic_of
from .protocol import ValidationError, check_variables
from .sending import Sender

_MOST_RECORDS = const(8)


class Publishing(Sender):
    """Publishes one moment's readings with each call, oldest first.

    They leave the outbox when the broker has acknowledged them.
    """

    _limit = _MOST_RECORDS

    async def _send(self):
        if not self._outbox.has_any():
            return 0
        # Every reading is told with its time.
        await self._reach(True)
        try:
            records = self._outbox.oldest(self._limit)
            variables, errors, count = _first_moment(records)
            if variables:
                settings = self._settings
                # Neither id nor token has a character that JSON would escape.
                message = (
                    f'{{"deviceId":"{settings["device_id"]}","apiToken":"{settings["token"]}",'
                    f'"timestamp":"{iso(records[0][1])}","variables":{json.dumps(variables)}}}'
                )
                await self._client.publish(topic_of(settings, "telemetry"), message.encode())
                self._delivered(variables)
        except Refused as err:
            return self._refused(err)
        except MemoryError:
            if self._limit == 1:
                raise
            self._limit //= 2
            return 0
        self._limit = min(self._limit + 1, _MOST_RECORDS)
        for err in errors:
            self._outbox.dropped += 1
            print("dropped because", err)
        self._outbox.confirm(records[:count])
        return 0


def _first_moment(records):
    variables = {}
    errors = []
    count = 0
    for _, at, more in records:
        # What several sensors measured at one moment makes one message.
        if at != records[0][1] or set(more) & set(variables):
            break
        count += 1
        for name in more:
            try:
                check_variables({name: more[name]})
                variables[name] = more[name]
            except ValidationError as err:
                errors.append(err)
    return variables, errors, count
