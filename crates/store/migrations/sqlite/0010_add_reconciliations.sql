-- Whether the sums agree: what lies at deposit addresses, against what came in and what left.

-- The contract that told of it, and when the ledger took it back, where it did.
ALTER TABLE deposits ADD COLUMN contract TEXT;
ALTER TABLE deposits ADD COLUMN taken_back_at INTEGER;
UPDATE deposits SET taken_back_at = seen_at WHERE canonical = 0;
CREATE INDEX deposits_address ON deposits (ledger, address);
CREATE INDEX deposits_time ON deposits (business_id, environment, block_time, id);
CREATE INDEX deposits_taken_back ON deposits (business_id, environment, taken_back_at, id) WHERE taken_back_at IS NOT NULL;

-- What left deposit addresses, as the contracts of tokens told in final blocks.
CREATE TABLE outgoing_transfers (
    ledger TEXT NOT NULL,
    block INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    transaction_hash TEXT NOT NULL,
    contract TEXT NOT NULL,
    address TEXT NOT NULL,
    recipient TEXT NOT NULL,
    raw_amount TEXT NOT NULL,
    PRIMARY KEY (ledger, block_hash, log_index)
) STRICT;

CREATE INDEX outgoing_transfers_address ON outgoing_transfers (ledger, address);

-- Up to which block it is known what left the addresses of a ledger, and who compares it now.
CREATE TABLE reconciled_ledgers (
    ledger TEXT NOT NULL PRIMARY KEY,
    scanned_to INTEGER,
    holder TEXT,
    held_until INTEGER
) STRICT;

CREATE TABLE reconciliations (
    id TEXT NOT NULL PRIMARY KEY,
    ledger TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('agrees', 'differs', 'incomplete')),
    -- The final block that was compared; none where there was none.
    block INTEGER,
    addresses INTEGER NOT NULL,
    differences INTEGER NOT NULL,
    failure TEXT
) STRICT;

CREATE INDEX reconciliations_ledger ON reconciliations (ledger, started_at, id);

CREATE TABLE reconciliation_differences (
    reconciliation_id TEXT NOT NULL REFERENCES reconciliations (id),
    address TEXT NOT NULL,
    contract TEXT NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT REFERENCES payments (id),
    -- Base units, up to 128 bits.
    received TEXT NOT NULL,
    sent TEXT NOT NULL,
    balance TEXT NOT NULL,
    PRIMARY KEY (reconciliation_id, address, contract)
) STRICT;

CREATE INDEX reconciliation_differences_tenant
    ON reconciliation_differences (business_id, environment, reconciliation_id);
