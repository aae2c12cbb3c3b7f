-- Every call of a business's keys, and every call that names the business and was refused.
CREATE TABLE requests (
    reference TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    -- NULL where the key is unknown and its text does not say.
    environment TEXT COLLATE "C" CHECK (environment IN ('test', 'live')),
    key_id TEXT COLLATE "C",
    key_version BIGINT,
    door TEXT COLLATE "C" NOT NULL CHECK (door IN ('api', 'verify')),
    method TEXT COLLATE "C" NOT NULL,
    -- The route: its variable parts are names in braces.
    path TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    code TEXT COLLATE "C",
    address TEXT COLLATE "C",
    client TEXT COLLATE "C",
    last_three TEXT COLLATE "C"
);

-- One for each filter that a page offers, in the order in which the page shows the rows.
CREATE INDEX requests_business ON requests (business_id, environment, at, reference);
CREATE INDEX requests_key ON requests (business_id, environment, key_id, at, reference);
CREATE INDEX requests_address ON requests (business_id, environment, address, at, reference);
CREATE INDEX requests_status ON requests (business_id, environment, status, at, reference);
CREATE INDEX requests_path ON requests (business_id, environment, path, at, reference);
CREATE INDEX requests_outcome ON requests (business_id, environment, outcome, at, reference);
CREATE INDEX requests_at ON requests (at);

ALTER TABLE refusals ADD COLUMN key_version BIGINT;
ALTER TABLE refusals ADD COLUMN missing_scope TEXT COLLATE "C";
ALTER TABLE refusals ADD COLUMN client TEXT COLLATE "C";
ALTER TABLE refusals ADD COLUMN door TEXT COLLATE "C" NOT NULL DEFAULT 'api' CHECK (door IN ('api', 'verify'));

-- Days are those of UTC, counted from 1970.
CREATE TABLE usage_days (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    day BIGINT NOT NULL,
    -- Empty where the key is unknown.
    key_id TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    requests BIGINT NOT NULL CHECK (requests > 0),
    PRIMARY KEY (business_id, environment, day, key_id, outcome)
);

CREATE INDEX usage_days_key ON usage_days (business_id, environment, key_id, day);
CREATE INDEX usage_days_day ON usage_days (day);

-- Who uses which value of a key. Texts are empty where nothing is known, so that they can be part of the key.
CREATE TABLE key_sightings (
    key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id),
    version BIGINT NOT NULL CHECK (version > 0),
    address TEXT COLLATE "C" NOT NULL,
    client TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    requests BIGINT NOT NULL CHECK (requests > 0),
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (key_id, version, address, client, origin)
);

CREATE INDEX key_sightings_last_seen ON key_sightings (key_id, last_seen_at);

-- The networks that a LIVE secret key has been used from.
CREATE TABLE key_networks (
    key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id),
    network TEXT COLLATE "C" NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (key_id, network)
);

-- Which keys' ends were announced, and how many days ahead: a row is written by whoever announces it.
CREATE TABLE key_end_notices (
    key_id TEXT COLLATE "C" NOT NULL REFERENCES keys (id),
    valid_until BIGINT NOT NULL,
    days BIGINT NOT NULL CHECK (days > 0),
    at BIGINT NOT NULL,
    PRIMARY KEY (key_id, valid_until, days)
);

CREATE INDEX keys_valid_until ON keys (valid_until, id) WHERE valid_until IS NOT NULL;

-- The key that made a key, out of created_by, so that what a key left behind can be found.
ALTER TABLE keys ADD COLUMN created_by_key TEXT COLLATE "C";
UPDATE keys SET created_by_key = CAST(created_by AS json) ->> 'id' WHERE CAST(created_by AS json) ->> 'type' = 'key';
CREATE INDEX keys_created_by_key ON keys (created_by_key) WHERE created_by_key IS NOT NULL;
