-- Where a business wants to hear of what happens.
CREATE TABLE webhook_endpoints (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    url TEXT NOT NULL,
    description TEXT,
    dialect TEXT NOT NULL CHECK (dialect IN ('standard', 'mileston')),
    -- A list of names; an empty one is all.
    event_types TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_reason TEXT CHECK (disabled_reason IN ('manual', 'gone', 'failing')),
    disabled_at INTEGER,
    secret_version INTEGER NOT NULL CHECK (secret_version > 0),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    -- Out of created_by, so that what a key made can be found.
    created_by_key TEXT,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    last_success_at INTEGER,
    -- The receiver asked to be left alone until then.
    paused_until INTEGER,
    -- When its queue was last served: the one that waits longest comes first.
    served_at INTEGER NOT NULL,
    CHECK ((state = 'disabled') = (disabled_at IS NOT NULL AND disabled_reason IS NOT NULL))
) STRICT;

CREATE INDEX webhook_endpoints_business ON webhook_endpoints (business_id, environment, id);
CREATE INDEX webhook_endpoints_created_by_key ON webhook_endpoints (created_by_key) WHERE created_by_key IS NOT NULL;

-- What an endpoint's messages are signed with, sealed. An older version signs too until its end.
CREATE TABLE webhook_secrets (
    -- Endpoint and version: what the sealed value is bound to.
    id TEXT NOT NULL PRIMARY KEY,
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id),
    version INTEGER NOT NULL CHECK (version > 0),
    sealed BLOB NOT NULL,
    kek_version INTEGER NOT NULL,
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ends_at INTEGER,
    CONSTRAINT webhook_secrets_version UNIQUE (endpoint_id, version)
) STRICT;

CREATE INDEX webhook_secrets_kek ON webhook_secrets (kek_version, id);

-- One event on its way to one endpoint.
CREATE TABLE webhook_deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id),
    event_id TEXT NOT NULL REFERENCES events (id),
    event_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- Of the present round of the schedule; sending again begins another one.
    attempt INTEGER NOT NULL CHECK (attempt >= 0),
    -- In all rounds.
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    next_at INTEGER NOT NULL,
    locked_until INTEGER,
    -- Counts the leases, and proves the latest one.
    lease INTEGER NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    CONSTRAINT webhook_deliveries_event UNIQUE (event_id, endpoint_id)
) STRICT;

CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at, endpoint_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_queue ON webhook_deliveries (endpoint_id, next_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at, id);

-- Each request to a receiver and what it answered.
CREATE TABLE webhook_attempts (
    delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id),
    number INTEGER NOT NULL CHECK (number > 0),
    at INTEGER NOT NULL,
    url TEXT NOT NULL,
    -- Without what is secret.
    request_headers TEXT NOT NULL,
    request_body TEXT NOT NULL,
    status INTEGER,
    answer_headers TEXT,
    answer_body TEXT,
    answer_cut INTEGER NOT NULL CHECK (answer_cut IN (0, 1)),
    duration_us INTEGER NOT NULL CHECK (duration_us >= 0),
    error TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;
