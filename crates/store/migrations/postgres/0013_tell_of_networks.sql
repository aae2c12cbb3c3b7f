-- How networks are doing, and which addresses are asked for seldom.

-- Up to which block every address was asked for, those that nothing is expected on as well; none means as far as the
-- ledger was seen. And how many blocks the deepest reorganisation took back.
ALTER TABLE ledger_cursors ADD COLUMN late_height BIGINT;
ALTER TABLE ledger_cursors ADD COLUMN deepest BIGINT NOT NULL DEFAULT 0;

-- What whoever watches a ledger last said of it, for every other node. Nothing is decided by it.
CREATE TABLE ledger_reports (
    ledger TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    report TEXT COLLATE "C" NOT NULL,
    -- Since when no endpoint answers.
    failing_since BIGINT,
    reported_at BIGINT NOT NULL
);
