-- Payments of which something was seen that is not final: at each look at a ledger it is asked whether it became so.
CREATE INDEX payments_open_sums ON payments (ledger) WHERE amount_settled < amount_seen;
