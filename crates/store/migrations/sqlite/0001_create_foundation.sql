-- Instants are microseconds since 1970 in UTC, documents are JSON, ids sort bytewise.

CREATE TABLE businesses (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    profile TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('en', 'fr')),
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    suspended_at INTEGER,
    -- Raised by every change that must not cross another one of the same business.
    revision INTEGER NOT NULL
) STRICT;

CREATE INDEX businesses_created_at ON businesses (created_at, id);

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    kind TEXT NOT NULL CHECK (kind IN ('secret', 'checkout')),
    number INTEGER NOT NULL CHECK (number > 0),
    name TEXT,
    external_reference TEXT,
    state TEXT NOT NULL CHECK (state IN ('active', 'inactive')),
    valid_from INTEGER NOT NULL,
    valid_until INTEGER,
    scopes TEXT NOT NULL,
    allowed_origins TEXT NOT NULL,
    allowed_ips TEXT NOT NULL,
    metadata TEXT NOT NULL,
    current_version INTEGER NOT NULL CHECK (current_version > 0),
    mask_prefix TEXT NOT NULL,
    last_three TEXT NOT NULL,
    previous_ends_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    updated_at INTEGER NOT NULL,
    CONSTRAINT keys_number UNIQUE (business_id, environment, number),
    CONSTRAINT keys_external_reference UNIQUE (business_id, external_reference),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT;

CREATE TABLE key_versions (
    key_id TEXT NOT NULL REFERENCES keys (id),
    version INTEGER NOT NULL CHECK (version > 0),
    -- Repeated from the key, so that every row names its tenant and the check below can see its kind.
    business_id TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    kind TEXT NOT NULL CHECK (kind IN ('secret', 'checkout')),
    digest BLOB NOT NULL,
    pepper_version INTEGER NOT NULL,
    last_three TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER,
    ended_by TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('generated', 'imported')),
    sealed BLOB,
    kek_version INTEGER,
    live_readable INTEGER NOT NULL CHECK (live_readable IN (0, 1)),
    PRIMARY KEY (key_id, version),
    CONSTRAINT key_versions_digest UNIQUE (digest),
    CHECK ((sealed IS NULL) = (kek_version IS NULL)),
    -- A secret value of the live environment is never kept, unless the profile lets it be read again.
    CHECK (sealed IS NULL OR environment = 'test' OR kind = 'checkout' OR live_readable = 1)
) STRICT;

CREATE INDEX key_versions_pepper ON key_versions (pepper_version);
CREATE INDEX key_versions_kek ON key_versions (kek_version, key_id, version) WHERE sealed IS NOT NULL;

-- Apart from keys, so that the most frequent write touches no row that a rule reads.
CREATE TABLE key_uses (
    key_id TEXT NOT NULL PRIMARY KEY REFERENCES keys (id),
    last_used_at INTEGER NOT NULL
) STRICT;

CREATE TABLE platform_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    pepper_version INTEGER NOT NULL,
    last_three TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at INTEGER,
    revoked_by TEXT,
    last_used_at INTEGER,
    CONSTRAINT platform_keys_digest UNIQUE (digest),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT;

CREATE TABLE audit_entries (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    business_id TEXT REFERENCES businesses (id),
    environment TEXT CHECK (environment IN ('test', 'live')),
    target TEXT,
    details TEXT NOT NULL,
    request_id TEXT,
    previous_hash BLOB,
    hash BLOB,
    CONSTRAINT audit_entries_id UNIQUE (id)
) STRICT;

CREATE INDEX audit_entries_business ON audit_entries (business_id, seq);

CREATE TRIGGER audit_entries_keep_rows BEFORE DELETE ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'audit entries are append-only');
END;

CREATE TRIGGER audit_entries_keep_facts
BEFORE UPDATE OF seq, id, at, actor, action, business_id, environment, target, details, request_id ON audit_entries
BEGIN
    SELECT RAISE(ABORT, 'audit entries are append-only');
END;

CREATE TRIGGER audit_entries_keep_hashes BEFORE UPDATE OF previous_hash, hash ON audit_entries
WHEN OLD.hash IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'audit entries are append-only');
END;

CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    -- NULL where the whole business is meant.
    environment TEXT CHECK (environment IN ('test', 'live')),
    type TEXT NOT NULL,
    key_id TEXT,
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    request_id TEXT,
    CONSTRAINT events_id UNIQUE (id)
) STRICT;

CREATE INDEX events_business ON events (business_id, seq);
CREATE INDEX events_key ON events (key_id, seq) WHERE key_id IS NOT NULL;

-- One row for each event that is not yet dispatched.
CREATE TABLE outbox (
    event_id TEXT NOT NULL PRIMARY KEY REFERENCES events (id),
    locked_until INTEGER,
    attempt INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_created_at ON outbox (created_at, event_id);

CREATE TABLE refusals (
    reference TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT CHECK (environment IN ('test', 'live')),
    key_id TEXT,
    code TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    address TEXT,
    last_three TEXT,
    origin TEXT
) STRICT;

CREATE INDEX refusals_business ON refusals (business_id, at);
CREATE INDEX refusals_at ON refusals (at);

CREATE TABLE idempotency_records (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    refill TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT;

CREATE INDEX idempotency_records_expires_at ON idempotency_records (expires_at);

-- The one row that orders changes: whoever raises it commits before the next one may.
CREATE TABLE change_counter (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE changes (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'business', 'platform_key', 'secrets')),
    business_id TEXT,
    target TEXT
) STRICT;

CREATE TABLE secret_versions (
    kind TEXT NOT NULL CHECK (kind IN ('pepper', 'kek')),
    version INTEGER NOT NULL CHECK (version > 0),
    canary BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (kind, version)
) STRICT;
