-- Money that is given back: the merchant's own wallet sends it, and the ledger says that it did.

-- What was given back of a payment for certain, and where it would stand without that, where this makes a difference.
ALTER TABLE payments ADD COLUMN amount_refunded BIGINT NOT NULL DEFAULT 0 CHECK (amount_refunded >= 0);
ALTER TABLE payments ADD COLUMN refunded_from TEXT COLLATE "C" CHECK (refunded_from IN ('settled', 'needs_review', 'expired'));

CREATE TABLE refunds (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    -- One of the two: a payment, or something that came in and no payment takes.
    payment_id TEXT COLLATE "C" REFERENCES payments (id),
    deposit_id TEXT COLLATE "C" REFERENCES deposits (id),
    ledger TEXT COLLATE "C" NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    -- To whom, as the merchant says.
    address TEXT COLLATE "C" NOT NULL,
    -- The contract of the token; none on the ledger of TEST.
    token TEXT COLLATE "C",
    amount BIGINT NOT NULL CHECK (amount > 0),
    asset TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    metadata TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('pending', 'processing', 'succeeded', 'failed', 'cancelled')),
    failure TEXT COLLATE "C" CHECK (failure IN ('transaction_reverted', 'transaction_mismatch', 'transaction_taken',
        'transaction_not_found')),
    transaction_hash TEXT COLLATE "C",
    -- Since when the transaction is waited for that is in no block.
    waiting_since BIGINT,
    -- Where it is, while it is in a block.
    block BIGINT,
    block_hash TEXT COLLATE "C",
    log_index BIGINT,
    -- When the ledger was last asked, so that every refund has its turn.
    checked_at BIGINT NOT NULL,
    succeeded_at BIGINT,
    -- Raised by every change, so that of two at once one has to look again.
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C",
    key_version BIGINT,
    updated_at BIGINT NOT NULL,
    CHECK ((payment_id IS NULL) <> (deposit_id IS NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK ((block IS NULL) = (block_hash IS NULL) AND (block IS NULL) = (log_index IS NULL)),
    CHECK (status NOT IN ('processing', 'succeeded') OR transaction_hash IS NOT NULL),
    CHECK (status <> 'succeeded' OR block IS NOT NULL)
);

CREATE INDEX refunds_tenant ON refunds (business_id, environment, created_at, id);
CREATE INDEX refunds_payment ON refunds (payment_id, created_at) WHERE payment_id IS NOT NULL;
CREATE INDEX refunds_deposit ON refunds (deposit_id, created_at) WHERE deposit_id IS NOT NULL;
CREATE INDEX refunds_key ON refunds (key_id, created_at) WHERE key_id IS NOT NULL;
CREATE INDEX refunds_waiting ON refunds (ledger, checked_at) WHERE status = 'processing';
CREATE INDEX refunds_block ON refunds (ledger, block) WHERE block IS NOT NULL;
-- What one transfer gives back is one refund, whoever claims it at the same time.
CREATE UNIQUE INDEX refunds_log ON refunds (ledger, network, transaction_hash, log_index)
    WHERE log_index IS NOT NULL AND status IN ('processing', 'succeeded');
