-- Networks that are watched, and where the money of a business goes.

-- The latest blocks that a ledger itself calls safe and final, where it has such words.
ALTER TABLE ledger_cursors ADD COLUMN safe INTEGER;
ALTER TABLE ledger_cursors ADD COLUMN finalized INTEGER;

-- Which node watches a ledger, and until when nobody else does. Two that watched would do no harm, only work twice.
CREATE TABLE ledger_leases (
    ledger TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL
) STRICT;

-- Where the money that arrives on a network is to go in the end.
CREATE TABLE payout_addresses (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    PRIMARY KEY (business_id, environment, network)
) STRICT;

-- A forwarder: the address that it can pay, and the salt that its own address follows from. What lies there can be moved
-- with these two alone, whatever the payout address is by now.
ALTER TABLE destinations ADD COLUMN payout TEXT;
ALTER TABLE destinations ADD COLUMN salt BLOB;
CREATE INDEX destinations_age ON destinations (ledger, created_at, address);
