-- Networks that are watched, and where the money of a business goes.

-- The latest blocks that a ledger itself calls safe and final, where it has such words.
ALTER TABLE ledger_cursors ADD COLUMN safe BIGINT;
ALTER TABLE ledger_cursors ADD COLUMN finalized BIGINT;

-- Which node watches a ledger, and until when nobody else does. Two that watched would do no harm, only work twice.
CREATE TABLE ledger_leases (
    ledger TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    held_until BIGINT NOT NULL
);

-- Where the money that arrives on a network is to go in the end.
CREATE TABLE payout_addresses (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    network TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business_id, environment, network)
);

-- A forwarder: the address that it can pay, and the salt that its own address follows from. What lies there can be moved
-- with these two alone, whatever the payout address is by now.
ALTER TABLE destinations ADD COLUMN payout TEXT COLLATE "C";
ALTER TABLE destinations ADD COLUMN salt BYTEA;
CREATE INDEX destinations_age ON destinations (ledger, created_at, address);
