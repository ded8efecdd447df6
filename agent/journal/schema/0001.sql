-- Times are microseconds since 1970-01-01 UTC; uuids and JSON are text.

CREATE TABLE journal (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    host TEXT NOT NULL CHECK (length(host) > 0),
    stream TEXT NOT NULL CHECK (length(stream) = 36),
    key_check TEXT NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    -- Events and replies the broker hasn't confirmed; kept by the triggers below, so that the bound on
    -- them costs each request one look and not a count.
    unsent INTEGER NOT NULL DEFAULT 0 CHECK (unsent >= 0)
) STRICT;

-- `number` is the order of acceptance. `identity` is the caller's (128 characters at most) with its scope
-- (two AMQP short strings).
CREATE TABLE operations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 36),
    identity TEXT NOT NULL UNIQUE CHECK (length(identity) BETWEEN 1 AND 640),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) > 0),
    method TEXT NOT NULL CHECK (length(method) BETWEEN 1 AND 64),
    saga TEXT NOT NULL CHECK (length(saga) BETWEEN 1 AND 64),
    saga_version INTEGER NOT NULL,
    instance_uuid TEXT CHECK (length(instance_uuid) = 36),
    caller TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'queued', 'running', 'succeeded', 'failed', 'cancelled', 'unknown', 'stuck', 'abandoned'
    )),
    accepted_at INTEGER NOT NULL,
    begun_at INTEGER,
    ended_at INTEGER,
    not_after INTEGER,
    if_generation INTEGER,
    state TEXT,
    answer TEXT,
    shares TEXT NOT NULL DEFAULT '{}',
    -- Under way, or waiting for a person: what is needed to go on is there. Ended: it is erased.
    CHECK ((state IS NOT NULL) = (status IN ('queued', 'running', 'unknown', 'stuck'))),
    CHECK ((ended_at IS NULL) = (status IN ('queued', 'running')))
) STRICT;

CREATE INDEX operations_of_instance ON operations (instance_uuid, number);
CREATE INDEX operations_unfinished ON operations (number) WHERE status IN ('queued', 'running');
CREATE INDEX operations_prunable ON operations (ended_at)
    WHERE status IN ('succeeded', 'failed', 'cancelled', 'abandoned');

CREATE TABLE steps (
    operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    mark TEXT NOT NULL CHECK (mark IN ('begun', 'done', 'undoing', 'undone', 'stuck')),
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (operation, name)
) STRICT, WITHOUT ROWID;

-- Who shall get the answer. An address is there once: a delivery that comes again asks no second answer.
CREATE TABLE waiters (
    operation INTEGER NOT NULL REFERENCES operations (number) ON DELETE CASCADE,
    address TEXT NOT NULL,
    PRIMARY KEY (operation, address)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number that was told to the publisher never comes again for another reply.
CREATE TABLE replies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    type TEXT NOT NULL CHECK (length(type) > 0),
    subject TEXT CHECK (length(subject) = 36),
    time INTEGER NOT NULL,
    data TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1))
) STRICT;

CREATE INDEX events_unsent ON events (sequence) WHERE sent = 0;

CREATE TABLE generations (
    instance TEXT PRIMARY KEY CHECK (length(instance) = 36),
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE power (
    instance TEXT PRIMARY KEY CHECK (length(instance) = 36),
    state TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_waits AFTER INSERT ON events
BEGIN
    UPDATE journal SET unsent = unsent + 1;
END;

CREATE TRIGGER event_sent AFTER UPDATE OF sent ON events WHEN old.sent = 0 AND new.sent = 1
BEGIN
    UPDATE journal SET unsent = unsent - 1;
END;

CREATE TRIGGER reply_waits AFTER INSERT ON replies
BEGIN
    UPDATE journal SET unsent = unsent + 1;
END;

CREATE TRIGGER reply_sent AFTER DELETE ON replies
BEGIN
    UPDATE journal SET unsent = unsent - 1;
END;
