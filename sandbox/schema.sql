CREATE TABLE IF NOT EXISTS settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS organizations (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    username TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    user_key TEXT UNIQUE
);
CREATE TABLE IF NOT EXISTS devices (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    organization_id INTEGER NOT NULL REFERENCES organizations,
    external_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    description TEXT,
    active INTEGER NOT NULL DEFAULT 1,
    location TEXT,
    sensor_type TEXT,
    firmware_version TEXT,
    status TEXT NOT NULL DEFAULT 'UNKNOWN',
    last_seen_at INTEGER,
    api_token TEXT UNIQUE,
    token_created_at INTEGER,
    token_last_used_at INTEGER
);
CREATE TABLE IF NOT EXISTS variables (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    name TEXT NOT NULL,
    display_name TEXT,
    description TEXT,
    unit TEXT,
    data_type TEXT NOT NULL DEFAULT 'NUMBER',
    data_source TEXT NOT NULL DEFAULT 'AUTO',
    icon TEXT,
    color TEXT,
    min_value TEXT,
    max_value TEXT,
    decimal_places INTEGER NOT NULL DEFAULT 2,
    last_value TEXT,
    last_value_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (device_id, name)
);
CREATE TABLE IF NOT EXISTS variable_values (
    id INTEGER PRIMARY KEY,
    variable_id INTEGER NOT NULL REFERENCES variables ON DELETE CASCADE,
    timestamp INTEGER NOT NULL,
    value TEXT NOT NULL,
    context TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS variable_values_in_time
    ON variable_values (variable_id, timestamp);
CREATE TABLE IF NOT EXISTS telemetry_records (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES devices ON DELETE CASCADE,
    timestamp INTEGER NOT NULL,
    kw_consumption TEXT NOT NULL,
    voltage TEXT NOT NULL,
    current TEXT NOT NULL,
    power_factor TEXT NOT NULL,
    frequency TEXT NOT NULL,
    metadata TEXT
);
CREATE INDEX IF NOT EXISTS telemetry_records_in_time
    ON telemetry_records (device_id, timestamp);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    organization_id INTEGER NOT NULL REFERENCES organizations ON DELETE CASCADE,
    external_id TEXT NOT NULL,
    type TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
