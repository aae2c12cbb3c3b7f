-- Instants are microseconds since 1970 in UTC, documents are JSON, ids sort bytewise.

CREATE TABLE businesses (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    profile TEXT COLLATE "C" NOT NULL,
    time_zone TEXT COLLATE "C" NOT NULL,
    language TEXT COLLATE "C" NOT NULL CHECK (language IN ('en', 'fr')),
    metadata TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    suspended_at BIGINT,
    -- Raised by every change that must not cross another one of the same business.
    revision BIGINT NOT NULL
);

CREATE INDEX businesses_created_at ON businesses (created_at, id);

CREATE TABLE keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('secret', 'checkout')),
    number BIGINT NOT NULL CHECK (number > 0),
    name TEXT COLLATE "C",
    external_reference TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'inactive')),
    valid_from BIGINT NOT NULL,
    valid_until BIGINT,
    scopes TEXT COLLATE "C" NOT NULL,
    allowed_origins TEXT COLLATE "C" NOT NULL,
    allowed_ips TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    current_version BIGINT NOT NULL CHECK (current_version > 0),
    mask_prefix TEXT COLLATE "C" NOT NULL,
    last_three TEXT COLLATE "C" NOT NULL,
    previous_ends_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    updated_at BIGINT NOT NULL,
    CONSTRAINT keys_number UNIQUE (business_id, environment, number),
    CONSTRAINT keys_external_reference UNIQUE (business_id, external_reference),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

CREATE TABLE key_versions (
    key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id),
    version BIGINT NOT NULL CHECK (version > 0),
    -- Repeated from the key, so that every row names its tenant and the check below can see its kind.
    business_id TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('secret', 'checkout')),
    digest BYTEA NOT NULL,
    pepper_version BIGINT NOT NULL,
    last_three TEXT COLLATE "C" NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    ended_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('generated', 'imported')),
    sealed BYTEA,
    kek_version BIGINT,
    live_readable BIGINT NOT NULL CHECK (live_readable IN (0, 1)),
    PRIMARY KEY (key_id, version),
    CONSTRAINT key_versions_digest UNIQUE (digest),
    CHECK ((sealed IS NULL) = (kek_version IS NULL)),
    -- A secret value of the live environment is never kept, unless the profile lets it be read again.
    CHECK (sealed IS NULL OR environment = 'test' OR kind = 'checkout' OR live_readable = 1)
);

CREATE INDEX key_versions_pepper ON key_versions (pepper_version);
CREATE INDEX key_versions_kek ON key_versions (kek_version, key_id, version) WHERE sealed IS NOT NULL;

-- Apart from keys, so that the most frequent write touches no row that a rule reads.
CREATE TABLE key_uses (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES keys (id),
    last_used_at BIGINT NOT NULL
);

CREATE TABLE platform_keys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    pepper_version BIGINT NOT NULL,
    last_three TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    last_used_at BIGINT,
    CONSTRAINT platform_keys_digest UNIQUE (digest),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

CREATE TABLE audit_entries (
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    business_id TEXT COLLATE "C" REFERENCES businesses (id),
    environment TEXT COLLATE "C" CHECK (environment IN ('test', 'live')),
    target TEXT COLLATE "C",
    details TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C",
    previous_hash BYTEA,
    hash BYTEA,
    CONSTRAINT audit_entries_id UNIQUE (id)
);

CREATE INDEX audit_entries_business ON audit_entries (business_id, seq);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are append-only';
END
$$;

CREATE TRIGGER audit_entries_keep_rows BEFORE DELETE ON audit_entries
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();

CREATE TRIGGER audit_entries_keep_table BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE TRIGGER audit_entries_keep_facts
BEFORE UPDATE OF seq, id, at, actor, action, business_id, environment, target, details, request_id ON audit_entries
FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();

CREATE TRIGGER audit_entries_keep_hashes BEFORE UPDATE OF previous_hash, hash ON audit_entries
FOR EACH ROW WHEN (OLD.hash IS NOT NULL) EXECUTE FUNCTION refuse_audit_change();

CREATE TABLE events (
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    -- NULL where the whole business is meant.
    environment TEXT COLLATE "C" CHECK (environment IN ('test', 'live')),
    type TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C",
    actor TEXT COLLATE "C" NOT NULL,
    data TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C",
    CONSTRAINT events_id UNIQUE (id)
);

CREATE INDEX events_business ON events (business_id, seq);
CREATE INDEX events_key ON events (key_id, seq) WHERE key_id IS NOT NULL;

-- One row for each event that is not yet dispatched.
CREATE TABLE outbox (
    event_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES events (id),
    locked_until BIGINT,
    attempt BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX outbox_created_at ON outbox (created_at, event_id);

CREATE TABLE refusals (
    reference TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" CHECK (environment IN ('test', 'live')),
    key_id TEXT COLLATE "C",
    code TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C",
    last_three TEXT COLLATE "C",
    origin TEXT COLLATE "C"
);

CREATE INDEX refusals_business ON refusals (business_id, at);
CREATE INDEX refusals_at ON refusals (at);

CREATE TABLE idempotency_records (
    scope TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    refill TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_records_expires_at ON idempotency_records (expires_at);

-- The one row that orders changes: whoever raises it commits before the next one may.
CREATE TABLE change_counter (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);

INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE changes (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('key', 'business', 'platform_key', 'secrets')),
    business_id TEXT COLLATE "C",
    target TEXT COLLATE "C"
);

CREATE TABLE secret_versions (
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('pepper', 'kek')),
    version BIGINT NOT NULL CHECK (version > 0),
    canary BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (kind, version)
);
