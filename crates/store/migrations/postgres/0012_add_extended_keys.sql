-- Extended public keys: a business may have its money on a network go to addresses of its own wallet, a new one for
-- every payment, in place of one address.

-- Which key, for which network. One that is proposed has no effect until somebody has confirmed its addresses.
CREATE TABLE payout_keys (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    network TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('proposed', 'in_force')),
    extended_key TEXT COLLATE "C" NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business_id, environment, network, state)
);

-- The next child of each key. There is one counter for a key, whoever uses it and on however many networks, so that no
-- child is given out twice.
CREATE TABLE extended_keys (
    id BYTEA NOT NULL PRIMARY KEY,
    next_index BIGINT NOT NULL CHECK (next_index BETWEEN 0 AND 2147483648)
);

-- The child that an address is. The id is what the children of the key follow from.
ALTER TABLE destinations ADD COLUMN extended_key TEXT COLLATE "C";
ALTER TABLE destinations ADD COLUMN extended_key_id BYTEA;
ALTER TABLE destinations ADD COLUMN child_index BIGINT;
CREATE UNIQUE INDEX destinations_child ON destinations (extended_key_id, child_index) WHERE child_index IS NOT NULL;
