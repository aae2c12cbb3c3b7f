-- What somebody said was given back of a payment outside of this system. Up to here that was all that had come by then, and
-- refunds that were asked for all the same count as a part of it.
ALTER TABLE payments ADD COLUMN amount_returned BIGINT NOT NULL DEFAULT 0 CHECK (amount_returned >= 0);
UPDATE payments SET amount_returned = floor - amount_refunded
    WHERE status = 'refunded' AND exception = 'manual' AND refunded_from IS NULL AND floor > amount_refunded;
