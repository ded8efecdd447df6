-- The boot of the host that the agent has last served in; null: none yet.
ALTER TABLE journal ADD COLUMN boot_id TEXT;

-- Guests that the end of a boot has switched off and that are to be started again, in their order. `after` is the
-- last operation accepted by then: one that something was asked of since isn't ours to start.
CREATE TABLE to_start (
    number INTEGER PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE CHECK (length(instance) = 36),
    after INTEGER NOT NULL
) STRICT;
