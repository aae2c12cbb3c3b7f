-- Refunds that went through, in the order of time: lines of what moved.
CREATE INDEX refunds_succeeded ON refunds (business_id, environment, succeeded_at, id) WHERE status = 'succeeded';
