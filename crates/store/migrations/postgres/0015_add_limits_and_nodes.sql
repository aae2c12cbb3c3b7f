-- How often a key, and all keys of a business in one environment, may be used.
ALTER TABLE keys ADD COLUMN limits TEXT COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE businesses ADD COLUMN limits TEXT COLLATE "C" NOT NULL DEFAULT '{}';

-- What was used of quotas, summed over all nodes.
CREATE TABLE quota_counts (
    -- The id of a key, or the id of a business and an environment with a slash between.
    holder TEXT COLLATE "C" NOT NULL,
    period TEXT COLLATE "C" NOT NULL CHECK (period IN ('day', 'month')),
    -- Days since 1970, or months since the year 0.
    number BIGINT NOT NULL,
    used BIGINT NOT NULL CHECK (used >= 0),
    PRIMARY KEY (holder, period, number)
);

CREATE INDEX quota_counts_period ON quota_counts (period, number);

-- The servers that run on this database, and which change each of them has in its memory.
CREATE TABLE nodes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    applied_seq BIGINT NOT NULL
);
