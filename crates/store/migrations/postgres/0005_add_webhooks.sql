-- Where a business wants to hear of what happens.
CREATE TABLE webhook_endpoints (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    url TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C",
    dialect TEXT COLLATE "C" NOT NULL CHECK (dialect IN ('standard', 'mileston')),
    -- A list of names; an empty one is all.
    event_types TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_reason TEXT COLLATE "C" CHECK (disabled_reason IN ('manual', 'gone', 'failing')),
    disabled_at BIGINT,
    secret_version BIGINT NOT NULL CHECK (secret_version > 0),
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    -- Out of created_by, so that what a key made can be found.
    created_by_key TEXT COLLATE "C",
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    last_success_at BIGINT,
    -- The receiver asked to be left alone until then.
    paused_until BIGINT,
    -- When its queue was last served: the one that waits longest comes first.
    served_at BIGINT NOT NULL,
    CHECK ((state = 'disabled') = (disabled_at IS NOT NULL AND disabled_reason IS NOT NULL))
);

CREATE INDEX webhook_endpoints_business ON webhook_endpoints (business_id, environment, id);
CREATE INDEX webhook_endpoints_created_by_key ON webhook_endpoints (created_by_key) WHERE created_by_key IS NOT NULL;

-- What an endpoint's messages are signed with, sealed. An older version signs too until its end.
CREATE TABLE webhook_secrets (
    -- Endpoint and version: what the sealed value is bound to.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    endpoint_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_endpoints (id),
    version BIGINT NOT NULL CHECK (version > 0),
    sealed BYTEA NOT NULL,
    kek_version BIGINT NOT NULL,
    public_key TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT,
    CONSTRAINT webhook_secrets_version UNIQUE (endpoint_id, version)
);

CREATE INDEX webhook_secrets_kek ON webhook_secrets (kek_version, id);

-- One event on its way to one endpoint.
CREATE TABLE webhook_deliveries (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    endpoint_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_endpoints (id),
    event_id TEXT COLLATE "C" NOT NULL REFERENCES events (id),
    event_type TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    -- Of the present round of the schedule; sending again begins another one.
    attempt BIGINT NOT NULL CHECK (attempt >= 0),
    -- In all rounds.
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    next_at BIGINT NOT NULL,
    locked_until BIGINT,
    -- Counts the leases, and proves the latest one.
    lease BIGINT NOT NULL,
    last_status BIGINT,
    last_error TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    CONSTRAINT webhook_deliveries_event UNIQUE (event_id, endpoint_id)
);

CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_at, endpoint_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_queue ON webhook_deliveries (endpoint_id, next_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at, id);

-- Each request to a receiver and what it answered.
CREATE TABLE webhook_attempts (
    delivery_id TEXT COLLATE "C" NOT NULL REFERENCES webhook_deliveries (id),
    number BIGINT NOT NULL CHECK (number > 0),
    at BIGINT NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    -- Without what is secret.
    request_headers TEXT COLLATE "C" NOT NULL,
    request_body TEXT COLLATE "C" NOT NULL,
    status BIGINT,
    answer_headers TEXT COLLATE "C",
    answer_body TEXT COLLATE "C",
    answer_cut BIGINT NOT NULL CHECK (answer_cut IN (0, 1)),
    duration_us BIGINT NOT NULL CHECK (duration_us >= 0),
    error TEXT COLLATE "C",
    PRIMARY KEY (delivery_id, number)
);
