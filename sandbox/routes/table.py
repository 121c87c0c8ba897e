"""Every endpoint of the server. Fixed segments are listed before parameters."""

from sandbox.context import Access
from sandbox.routing import Route

from . import (
    account,
    auth,
    commands,
    connectivity,
    data,
    devices,
    ingest,
    legacy,
    metrics,
    variables,
)

_AUTH = "/api/v1/auth"
_DATA = "/api/v1/data"
_DEVICE = "/api/v1/devices/{device}"
_VARIABLES = "/api/v1/devices/{uuid}/variables"
_VARIABLE = f"{_VARIABLES}/{{variable}}"

ROUTES = (
    Route("POST", "/api/v1/ingest/{device}", ingest.ingest, Access.PUBLIC),
    Route("POST", f"{_DATA}/ingest", data.ingest),
    Route("POST", f"{_DATA}/bulk", data.bulk),
    Route("POST", f"{_DATA}/ingest/bulk", data.ingest_bulk),
    Route("POST", f"{_DATA}/ingest/{{device}}", data.ingest_for_device),
    Route("POST", f"{_DATA}/{{device}}/{{variable}}", data.variable),
    Route("GET", f"{_DATA}/query", legacy.query),
    Route("GET", f"{_DATA}/latest", legacy.latest),
    Route("GET", f"{_DATA}/latest/{{device}}", legacy.latest_of_device),
    Route("GET", "/api/v1/analytics/aggregate", legacy.aggregate),
    Route("POST", f"{_AUTH}/login", auth.login, Access.PUBLIC),
    Route("POST", f"{_AUTH}/refresh", auth.refresh, Access.PUBLIC),
    Route("POST", f"{_AUTH}/register", auth.register, Access.PUBLIC),
    Route("GET", f"{_AUTH}/me", auth.me),
    Route("GET", "/api/v1/connectivity/http", connectivity.http, Access.PUBLIC),
    Route("GET", "/api/v1/connectivity/mqtt", connectivity.mqtt, Access.PUBLIC),
    Route("GET", "/actuator/health", connectivity.health, Access.PUBLIC),
    Route("GET", "/actuator/prometheus", metrics.prometheus, Access.PUBLIC),
    Route("GET", "/api/v1/events", account.events),
    Route("GET", "/api/v1/api-keys", account.list_keys),
    Route("POST", "/api/v1/api-keys", account.create_key),
    Route("GET", "/api/v1/devices", devices.list_all),
    Route("POST", "/api/v1/devices", devices.create),
    Route("GET", _DEVICE, devices.show),
    Route("PUT", _DEVICE, devices.update),
    Route("DELETE", _DEVICE, devices.delete),
    Route("POST", f"{_DEVICE}/rotate-token", devices.rotate_shortly),
    Route("POST", f"{_DEVICE}/token/rotate", devices.rotate),
    Route("POST", f"{_DEVICE}/token/generate", devices.generate),
    Route("GET", f"{_DEVICE}/token", devices.show_masked),
    Route("DELETE", f"{_DEVICE}/token", devices.revoke),
    Route("POST", f"{_DEVICE}/commands", commands.send),
    Route("POST", f"{_DEVICE}/commands/toggle", commands.toggle),
    Route("POST", f"{_DEVICE}/commands/set-value", commands.set_value),
    Route("GET", _VARIABLES, variables.list_all, Access.ROLE),
    Route("GET", f"{_VARIABLES}/latest", variables.latest, Access.ROLE),
    Route("GET", _VARIABLE, variables.show, Access.ROLE),
    Route("PUT", _VARIABLE, variables.update, Access.ROLE),
    Route("GET", f"{_VARIABLE}/values", variables.values, Access.ROLE),
    Route("GET", f"{_VARIABLE}/values/latest", variables.latest_values, Access.ROLE),
    Route("GET", f"{_VARIABLE}/statistics", variables.statistics, Access.ROLE),
)
