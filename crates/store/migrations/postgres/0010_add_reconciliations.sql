-- Whether the sums agree: what lies at deposit addresses, against what came in and what left.

-- The contract that told of it, and when the ledger took it back, where it did.
ALTER TABLE deposits ADD COLUMN contract TEXT COLLATE "C";
ALTER TABLE deposits ADD COLUMN taken_back_at BIGINT;
UPDATE deposits SET taken_back_at = seen_at WHERE canonical = 0;
CREATE INDEX deposits_address ON deposits (ledger, address);
CREATE INDEX deposits_time ON deposits (business_id, environment, block_time, id);
CREATE INDEX deposits_taken_back ON deposits (business_id, environment, taken_back_at, id) WHERE taken_back_at IS NOT NULL;

-- What left deposit addresses, as the contracts of tokens told in final blocks.
CREATE TABLE outgoing_transfers (
    ledger TEXT COLLATE "C" NOT NULL,
    block BIGINT NOT NULL,
    block_hash TEXT COLLATE "C" NOT NULL,
    log_index BIGINT NOT NULL,
    transaction_hash TEXT COLLATE "C" NOT NULL,
    contract TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    recipient TEXT COLLATE "C" NOT NULL,
    raw_amount TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ledger, block_hash, log_index)
);

CREATE INDEX outgoing_transfers_address ON outgoing_transfers (ledger, address);

-- Up to which block it is known what left the addresses of a ledger, and who compares it now.
CREATE TABLE reconciled_ledgers (
    ledger TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    scanned_to BIGINT,
    holder TEXT COLLATE "C",
    held_until BIGINT
);

CREATE TABLE reconciliations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ledger TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('agrees', 'differs', 'incomplete')),
    -- The final block that was compared; none where there was none.
    block BIGINT,
    addresses BIGINT NOT NULL,
    differences BIGINT NOT NULL,
    failure TEXT COLLATE "C"
);

CREATE INDEX reconciliations_ledger ON reconciliations (ledger, started_at, id);

CREATE TABLE reconciliation_differences (
    reconciliation_id TEXT COLLATE "C" NOT NULL REFERENCES reconciliations (id),
    address TEXT COLLATE "C" NOT NULL,
    contract TEXT COLLATE "C" NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT COLLATE "C" REFERENCES payments (id),
    -- Base units, up to 128 bits.
    received TEXT COLLATE "C" NOT NULL,
    sent TEXT COLLATE "C" NOT NULL,
    balance TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (reconciliation_id, address, contract)
);

CREATE INDEX reconciliation_differences_tenant
    ON reconciliation_differences (business_id, environment, reconciliation_id);
