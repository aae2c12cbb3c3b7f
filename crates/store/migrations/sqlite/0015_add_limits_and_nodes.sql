-- How often a key, and all keys of a business in one environment, may be used.
ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE businesses ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';

-- What was used of quotas, summed over all nodes.
CREATE TABLE quota_counts (
    -- The id of a key, or the id of a business and an environment with a slash between.
    holder TEXT NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month')),
    -- Days since 1970, or months since the year 0.
    number INTEGER NOT NULL,
    used INTEGER NOT NULL CHECK (used >= 0),
    PRIMARY KEY (holder, period, number)
) STRICT;

CREATE INDEX quota_counts_period ON quota_counts (period, number);

-- The servers that run on this database, and which change each of them has in its memory.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    applied_seq INTEGER NOT NULL
) STRICT;
