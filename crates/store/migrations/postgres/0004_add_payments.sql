-- What is to be paid, what was paid, and what was seen of it. Amounts are base units of the asset beside them.

ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('key', 'business', 'platform_key', 'secrets', 'payment', 'payable'));

ALTER TABLE events ADD COLUMN subject TEXT COLLATE "C";
CREATE INDEX events_subject ON events (business_id, subject, seq) WHERE subject IS NOT NULL;

CREATE TABLE payment_links (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    amount BIGINT NOT NULL CHECK (amount > 0),
    -- Its code and decimals, such as USDC:6.
    asset TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C",
    description TEXT COLLATE "C",
    redirect_url TEXT COLLATE "C",
    logo_url TEXT COLLATE "C",
    banner_url TEXT COLLATE "C",
    customer_reference TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    single_use BIGINT NOT NULL CHECK (single_use IN (0, 1)),
    active BIGINT NOT NULL CHECK (active IN (0, 1)),
    -- When it was first paid, and by which payment that still counts.
    paid_at BIGINT,
    paid_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CHECK ((paid_at IS NULL) = (paid_by IS NULL))
);

CREATE INDEX payment_links_tenant ON payment_links (business_id, environment, created_at, id);

CREATE TABLE recurring_payments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    amount BIGINT NOT NULL CHECK (amount > 0),
    asset TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C",
    customer_name TEXT COLLATE "C",
    customer_email TEXT COLLATE "C",
    customer_wallet TEXT COLLATE "C",
    customer_reference TEXT COLLATE "C",
    redirect_url TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    anchor BIGINT NOT NULL,
    recurs TEXT COLLATE "C" NOT NULL,
    time_zone TEXT COLLATE "C" NOT NULL,
    with_pdf BIGINT NOT NULL CHECK (with_pdf IN (0, 1)),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'paused', 'cancelled')),
    -- The number of the period to be made next, and when; no instant where no calendar goes that far.
    next_period BIGINT NOT NULL CHECK (next_period > 0),
    next_due_at BIGINT,
    -- Set once more periods were missed than are made up; somebody has to say that it goes on.
    held_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);

CREATE INDEX recurring_payments_tenant ON recurring_payments (business_id, environment, created_at, id);
CREATE INDEX recurring_payments_due ON recurring_payments (next_due_at, id)
    WHERE state = 'active' AND held_at IS NULL AND deleted_at IS NULL;

CREATE TABLE invoices (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    number BIGINT NOT NULL CHECK (number > 0),
    amount BIGINT NOT NULL CHECK (amount > 0),
    asset TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    lines TEXT COLLATE "C" NOT NULL,
    due_at BIGINT NOT NULL,
    customer_name TEXT COLLATE "C",
    customer_email TEXT COLLATE "C",
    customer_reference TEXT COLLATE "C",
    redirect_url TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    with_pdf BIGINT NOT NULL CHECK (with_pdf IN (0, 1)),
    recurring_id TEXT COLLATE "C" REFERENCES recurring_payments (id),
    period BIGINT CHECK (period >= 0),
    paid_at BIGINT,
    paid_by TEXT COLLATE "C",
    voided_at BIGINT,
    -- The last reminder that was sent: days relative to the due date.
    reminded BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT invoices_number UNIQUE (business_id, environment, number),
    -- However often the making of a period is tried, there is one.
    CONSTRAINT invoices_period UNIQUE (recurring_id, period),
    CHECK ((recurring_id IS NULL) = (period IS NULL)),
    CHECK ((paid_at IS NULL) = (paid_by IS NULL))
);

CREATE INDEX invoices_tenant ON invoices (business_id, environment, created_at, id);
CREATE INDEX invoices_due ON invoices (due_at, id) WHERE paid_at IS NULL AND voided_at IS NULL AND deleted_at IS NULL;

CREATE TABLE payments (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    -- One of the two; a period of a recurring payment is an invoice.
    payment_link_id TEXT COLLATE "C" REFERENCES payment_links (id),
    invoice_id TEXT COLLATE "C" REFERENCES invoices (id),
    recurring_id TEXT COLLATE "C" REFERENCES recurring_payments (id),
    ledger TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    tolerance BIGINT NOT NULL CHECK (tolerance >= 0),
    asset TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT,
    accepts_late BIGINT NOT NULL CHECK (accepts_late IN (0, 1)),
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('open', 'processing', 'settled', 'expired', 'cancelled', 'needs_review',
        'reversed', 'partially_refunded', 'refunded')),
    exception TEXT COLLATE "C" NOT NULL CHECK (exception IN ('none', 'partial', 'underpaid', 'overpaid', 'late', 'multiple',
        'manual')),
    floor BIGINT NOT NULL,
    amount_seen BIGINT NOT NULL,
    amount_settled BIGINT NOT NULL,
    payer TEXT COLLATE "C",
    transaction_hash TEXT COLLATE "C",
    token_digest BYTEA NOT NULL,
    settled_at BIGINT,
    -- Raised by every change, so that of two at once one has to look again.
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C",
    key_version BIGINT,
    updated_at BIGINT NOT NULL,
    CONSTRAINT payments_address UNIQUE (ledger, network, address),
    CHECK ((payment_link_id IS NULL) <> (invoice_id IS NULL))
);

CREATE INDEX payments_tenant ON payments (business_id, environment, created_at, id);
CREATE INDEX payments_link ON payments (payment_link_id, created_at) WHERE payment_link_id IS NOT NULL;
CREATE INDEX payments_invoice ON payments (invoice_id, created_at) WHERE invoice_id IS NOT NULL;
CREATE INDEX payments_key ON payments (key_id, created_at) WHERE key_id IS NOT NULL;
CREATE INDEX payments_awaiting ON payments (ledger, expires_at) WHERE status IN ('open', 'processing');

-- Where money may be sent: an address is given out once and never again.
CREATE TABLE destinations (
    ledger TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT COLLATE "C" REFERENCES payments (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (ledger, network, address)
);

-- How far each ledger was seen.
CREATE TABLE ledger_cursors (
    ledger TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    height BIGINT NOT NULL,
    ledger_time BIGINT NOT NULL,
    reorganisations BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE ledger_blocks (
    ledger TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    parent TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (ledger, number)
);

CREATE TABLE deposits (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ledger TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    block BIGINT NOT NULL,
    block_hash TEXT COLLATE "C" NOT NULL,
    log_index BIGINT NOT NULL,
    transaction_hash TEXT COLLATE "C" NOT NULL,
    asset TEXT COLLATE "C" NOT NULL CHECK (asset IN ('accepted', 'other')),
    sender TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    -- As the ledger wrote it; units where that fits 64 bits.
    raw_amount TEXT COLLATE "C" NOT NULL,
    units BIGINT CHECK (units >= 0),
    block_time BIGINT NOT NULL,
    canonical BIGINT NOT NULL CHECK (canonical IN (0, 1)),
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    payment_id TEXT COLLATE "C" REFERENCES payments (id),
    seen_at BIGINT NOT NULL,
    resolved_at BIGINT,
    resolution TEXT COLLATE "C",
    CONSTRAINT deposits_place UNIQUE (ledger, block_hash, log_index)
);

CREATE INDEX deposits_payment ON deposits (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX deposits_block ON deposits (ledger, block) WHERE canonical = 1;
CREATE INDEX deposits_tenant ON deposits (business_id, environment, seen_at, id);
CREATE UNIQUE INDEX deposits_log ON deposits (ledger, network, transaction_hash, log_index) WHERE canonical = 1;

-- Which payment a transaction was handed in for: the same one again is the same answer, for another one it is refused.
CREATE TABLE transaction_claims (
    ledger TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    transaction_hash TEXT COLLATE "C" NOT NULL,
    payment_id TEXT COLLATE "C" NOT NULL REFERENCES payments (id),
    claimed_at BIGINT NOT NULL,
    PRIMARY KEY (ledger, network, transaction_hash)
);

-- The ledger of TEST: what an outside network is in LIVE. Nothing above is written together with it.
CREATE TABLE test_ledgers (
    business_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES businesses (id),
    height BIGINT NOT NULL,
    -- How far the clock was set forward.
    clock_offset BIGINT NOT NULL CHECK (clock_offset >= 0),
    halted_at BIGINT,
    -- Transactions ever made, and forks ever made: they name what comes next.
    transactions BIGINT NOT NULL,
    forks BIGINT NOT NULL
);

CREATE TABLE test_blocks (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES test_ledgers (business_id),
    number BIGINT NOT NULL,
    hash TEXT COLLATE "C" NOT NULL,
    parent TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (business_id, number)
);

CREATE TABLE test_transfers (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES test_ledgers (business_id),
    number BIGINT NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    transaction_hash TEXT COLLATE "C" NOT NULL,
    asset TEXT COLLATE "C" NOT NULL CHECK (asset IN ('accepted', 'other')),
    sender TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    raw_amount TEXT COLLATE "C" NOT NULL,
    -- A transaction that fails sits in a block and moves nothing.
    reverted BIGINT NOT NULL CHECK (reverted IN (0, 1)),
    -- None while it waits for a block; dropped ones are gone.
    block BIGINT,
    PRIMARY KEY (business_id, number)
);

CREATE INDEX test_transfers_block ON test_transfers (business_id, block);
