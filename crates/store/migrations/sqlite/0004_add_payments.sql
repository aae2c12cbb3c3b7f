-- What is to be paid, what was paid, and what was seen of it. Amounts are base units of the asset beside them.

CREATE TABLE changes_of_more_kinds (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'business', 'platform_key', 'secrets', 'payment', 'payable')),
    business_id TEXT,
    target TEXT
) STRICT;
INSERT INTO changes_of_more_kinds (seq, at, kind, business_id, target)
    SELECT seq, at, kind, business_id, target FROM changes;
DROP TABLE changes;
ALTER TABLE changes_of_more_kinds RENAME TO changes;

ALTER TABLE events ADD COLUMN subject TEXT;
CREATE INDEX events_subject ON events (business_id, subject, seq) WHERE subject IS NOT NULL;

CREATE TABLE payment_links (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    amount INTEGER NOT NULL CHECK (amount > 0),
    -- Its code and decimals, such as USDC:6.
    asset TEXT NOT NULL,
    title TEXT,
    description TEXT,
    redirect_url TEXT,
    logo_url TEXT,
    banner_url TEXT,
    customer_reference TEXT,
    metadata TEXT NOT NULL,
    single_use INTEGER NOT NULL CHECK (single_use IN (0, 1)),
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- When it was first paid, and by which payment that still counts.
    paid_at INTEGER,
    paid_by TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    CHECK ((paid_at IS NULL) = (paid_by IS NULL))
) STRICT;

CREATE INDEX payment_links_tenant ON payment_links (business_id, environment, created_at, id);

CREATE TABLE recurring_payments (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    amount INTEGER NOT NULL CHECK (amount > 0),
    asset TEXT NOT NULL,
    name TEXT,
    customer_name TEXT,
    customer_email TEXT,
    customer_wallet TEXT,
    customer_reference TEXT,
    redirect_url TEXT,
    metadata TEXT NOT NULL,
    anchor INTEGER NOT NULL,
    recurs TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    with_pdf INTEGER NOT NULL CHECK (with_pdf IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'cancelled')),
    -- The number of the period to be made next, and when; no instant where no calendar goes that far.
    next_period INTEGER NOT NULL CHECK (next_period > 0),
    next_due_at INTEGER,
    -- Set once more periods were missed than are made up; somebody has to say that it goes on.
    held_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE INDEX recurring_payments_tenant ON recurring_payments (business_id, environment, created_at, id);
CREATE INDEX recurring_payments_due ON recurring_payments (next_due_at, id)
    WHERE state = 'active' AND held_at IS NULL AND deleted_at IS NULL;

CREATE TABLE invoices (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    number INTEGER NOT NULL CHECK (number > 0),
    amount INTEGER NOT NULL CHECK (amount > 0),
    asset TEXT NOT NULL,
    title TEXT NOT NULL,
    lines TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    customer_name TEXT,
    customer_email TEXT,
    customer_reference TEXT,
    redirect_url TEXT,
    metadata TEXT NOT NULL,
    with_pdf INTEGER NOT NULL CHECK (with_pdf IN (0, 1)),
    recurring_id TEXT REFERENCES recurring_payments (id),
    period INTEGER CHECK (period >= 0),
    paid_at INTEGER,
    paid_by TEXT,
    voided_at INTEGER,
    -- The last reminder that was sent: days relative to the due date.
    reminded INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    CONSTRAINT invoices_number UNIQUE (business_id, environment, number),
    -- However often the making of a period is tried, there is one.
    CONSTRAINT invoices_period UNIQUE (recurring_id, period),
    CHECK ((recurring_id IS NULL) = (period IS NULL)),
    CHECK ((paid_at IS NULL) = (paid_by IS NULL))
) STRICT;

CREATE INDEX invoices_tenant ON invoices (business_id, environment, created_at, id);
CREATE INDEX invoices_due ON invoices (due_at, id) WHERE paid_at IS NULL AND voided_at IS NULL AND deleted_at IS NULL;

CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    -- One of the two; a period of a recurring payment is an invoice.
    payment_link_id TEXT REFERENCES payment_links (id),
    invoice_id TEXT REFERENCES invoices (id),
    recurring_id TEXT REFERENCES recurring_payments (id),
    ledger TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    tolerance INTEGER NOT NULL CHECK (tolerance >= 0),
    asset TEXT NOT NULL,
    expires_at INTEGER,
    accepts_late INTEGER NOT NULL CHECK (accepts_late IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('open', 'processing', 'settled', 'expired', 'cancelled', 'needs_review',
        'reversed', 'partially_refunded', 'refunded')),
    exception TEXT NOT NULL CHECK (exception IN ('none', 'partial', 'underpaid', 'overpaid', 'late', 'multiple',
        'manual')),
    floor INTEGER NOT NULL,
    amount_seen INTEGER NOT NULL,
    amount_settled INTEGER NOT NULL,
    payer TEXT,
    transaction_hash TEXT,
    token_digest BLOB NOT NULL,
    settled_at INTEGER,
    -- Raised by every change, so that of two at once one has to look again.
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    key_id TEXT,
    key_version INTEGER,
    updated_at INTEGER NOT NULL,
    CONSTRAINT payments_address UNIQUE (ledger, network, address),
    CHECK ((payment_link_id IS NULL) <> (invoice_id IS NULL))
) STRICT;

CREATE INDEX payments_tenant ON payments (business_id, environment, created_at, id);
CREATE INDEX payments_link ON payments (payment_link_id, created_at) WHERE payment_link_id IS NOT NULL;
CREATE INDEX payments_invoice ON payments (invoice_id, created_at) WHERE invoice_id IS NOT NULL;
CREATE INDEX payments_key ON payments (key_id, created_at) WHERE key_id IS NOT NULL;
CREATE INDEX payments_awaiting ON payments (ledger, expires_at) WHERE status IN ('open', 'processing');

-- Where money may be sent: an address is given out once and never again.
CREATE TABLE destinations (
    ledger TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT REFERENCES payments (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (ledger, network, address)
) STRICT;

-- How far each ledger was seen.
CREATE TABLE ledger_cursors (
    ledger TEXT NOT NULL PRIMARY KEY,
    height INTEGER NOT NULL,
    ledger_time INTEGER NOT NULL,
    reorganisations INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE ledger_blocks (
    ledger TEXT NOT NULL,
    number INTEGER NOT NULL,
    hash TEXT NOT NULL,
    parent TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (ledger, number)
) STRICT;

CREATE TABLE deposits (
    id TEXT NOT NULL PRIMARY KEY,
    ledger TEXT NOT NULL,
    network TEXT NOT NULL,
    block INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    transaction_hash TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('accepted', 'other')),
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    -- As the ledger wrote it; units where that fits 64 bits.
    raw_amount TEXT NOT NULL,
    units INTEGER CHECK (units >= 0),
    block_time INTEGER NOT NULL,
    canonical INTEGER NOT NULL CHECK (canonical IN (0, 1)),
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT REFERENCES payments (id),
    seen_at INTEGER NOT NULL,
    resolved_at INTEGER,
    resolution TEXT,
    CONSTRAINT deposits_place UNIQUE (ledger, block_hash, log_index)
) STRICT;

CREATE INDEX deposits_payment ON deposits (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX deposits_block ON deposits (ledger, block) WHERE canonical = 1;
CREATE INDEX deposits_tenant ON deposits (business_id, environment, seen_at, id);
CREATE UNIQUE INDEX deposits_log ON deposits (ledger, network, transaction_hash, log_index) WHERE canonical = 1;

-- Which payment a transaction was handed in for: the same one again is the same answer, for another one it is refused.
CREATE TABLE transaction_claims (
    ledger TEXT NOT NULL,
    network TEXT NOT NULL,
    transaction_hash TEXT NOT NULL,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    claimed_at INTEGER NOT NULL,
    PRIMARY KEY (ledger, network, transaction_hash)
) STRICT;

-- The ledger of TEST: what an outside network is in LIVE. Nothing above is written together with it.
CREATE TABLE test_ledgers (
    business_id TEXT NOT NULL PRIMARY KEY REFERENCES businesses (id),
    height INTEGER NOT NULL,
    -- How far the clock was set forward.
    clock_offset INTEGER NOT NULL CHECK (clock_offset >= 0),
    halted_at INTEGER,
    -- Transactions ever made, and forks ever made: they name what comes next.
    transactions INTEGER NOT NULL,
    forks INTEGER NOT NULL
) STRICT;

CREATE TABLE test_blocks (
    business_id TEXT NOT NULL REFERENCES test_ledgers (business_id),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL,
    parent TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (business_id, number)
) STRICT;

CREATE TABLE test_transfers (
    business_id TEXT NOT NULL REFERENCES test_ledgers (business_id),
    number INTEGER NOT NULL,
    network TEXT NOT NULL,
    transaction_hash TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('accepted', 'other')),
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    raw_amount TEXT NOT NULL,
    -- A transaction that fails sits in a block and moves nothing.
    reverted INTEGER NOT NULL CHECK (reverted IN (0, 1)),
    -- None while it waits for a block; dropped ones are gone.
    block INTEGER,
    PRIMARY KEY (business_id, number)
) STRICT;

CREATE INDEX test_transfers_block ON test_transfers (business_id, block);
