-- Every call of a business's keys, and every call that names the business and was refused.
CREATE TABLE requests (
    reference TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    -- NULL where the key is unknown and its text does not say.
    environment TEXT CHECK (environment IN ('test', 'live')),
    key_id TEXT,
    key_version INTEGER,
    door TEXT NOT NULL CHECK (door IN ('api', 'verify')),
    method TEXT NOT NULL,
    -- The route: its variable parts are names in braces.
    path TEXT NOT NULL,
    status INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    code TEXT,
    address TEXT,
    client TEXT,
    last_three TEXT
) STRICT;

-- One for each filter that a page offers, in the order in which the page shows the rows.
CREATE INDEX requests_business ON requests (business_id, environment, at, reference);
CREATE INDEX requests_key ON requests (business_id, environment, key_id, at, reference);
CREATE INDEX requests_address ON requests (business_id, environment, address, at, reference);
CREATE INDEX requests_status ON requests (business_id, environment, status, at, reference);
CREATE INDEX requests_path ON requests (business_id, environment, path, at, reference);
CREATE INDEX requests_outcome ON requests (business_id, environment, outcome, at, reference);
CREATE INDEX requests_at ON requests (at);

ALTER TABLE refusals ADD COLUMN key_version INTEGER;
ALTER TABLE refusals ADD COLUMN missing_scope TEXT;
ALTER TABLE refusals ADD COLUMN client TEXT;
ALTER TABLE refusals ADD COLUMN door TEXT NOT NULL DEFAULT 'api' CHECK (door IN ('api', 'verify'));

-- Days are those of UTC, counted from 1970.
CREATE TABLE usage_days (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    day INTEGER NOT NULL,
    -- Empty where the key is unknown.
    key_id TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'failed')),
    requests INTEGER NOT NULL CHECK (requests > 0),
    PRIMARY KEY (business_id, environment, day, key_id, outcome)
) STRICT;

CREATE INDEX usage_days_key ON usage_days (business_id, environment, key_id, day);
CREATE INDEX usage_days_day ON usage_days (day);

-- Who uses which value of a key. Texts are empty where nothing is known, so that they can be part of the key.
CREATE TABLE key_sightings (
    key_id TEXT NOT NULL REFERENCES keys (id),
    version INTEGER NOT NULL CHECK (version > 0),
    address TEXT NOT NULL,
    client TEXT NOT NULL,
    origin TEXT NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    requests INTEGER NOT NULL CHECK (requests > 0),
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, version, address, client, origin)
) STRICT;

CREATE INDEX key_sightings_last_seen ON key_sightings (key_id, last_seen_at);

-- The networks that a LIVE secret key has been used from.
CREATE TABLE key_networks (
    key_id TEXT NOT NULL REFERENCES keys (id),
    network TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, network)
) STRICT;

-- Which keys' ends were announced, and how many days ahead: a row is written by whoever announces it.
CREATE TABLE key_end_notices (
    key_id TEXT NOT NULL REFERENCES keys (id),
    valid_until INTEGER NOT NULL,
    days INTEGER NOT NULL CHECK (days > 0),
    at INTEGER NOT NULL,
    PRIMARY KEY (key_id, valid_until, days)
) STRICT;

CREATE INDEX keys_valid_until ON keys (valid_until, id) WHERE valid_until IS NOT NULL;

-- The key that made a key, out of created_by, so that what a key left behind can be found.
ALTER TABLE keys ADD COLUMN created_by_key TEXT;
UPDATE keys SET created_by_key = json_extract(created_by, '$.id') WHERE json_extract(created_by, '$.type') = 'key';
CREATE INDEX keys_created_by_key ON keys (created_by_key) WHERE created_by_key IS NOT NULL;
