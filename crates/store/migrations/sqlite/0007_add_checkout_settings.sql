-- How a business takes payments in one environment. Where there is no row, everything is as it is by itself.
CREATE TABLE checkout_settings (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    -- The colour of buttons and links, as #rrggbb.
    accent TEXT,
    languages TEXT NOT NULL CHECK (languages IN ('any', 'en', 'fr')),
    redirect_url TEXT,
    -- A list of origins.
    origins TEXT NOT NULL,
    -- What may be missing of a price: base units of an asset, or thousandths of it.
    tolerance_amount INTEGER NOT NULL CHECK (tolerance_amount >= 0),
    tolerance_asset TEXT NOT NULL,
    tolerance_per_mille INTEGER NOT NULL CHECK (tolerance_per_mille BETWEEN 0 AND 50),
    accepts_late INTEGER NOT NULL CHECK (accepts_late IN (0, 1)),
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (business_id, environment)
) STRICT;

-- What came in, day by day.
CREATE INDEX payments_settled ON payments (business_id, environment, settled_at) WHERE settled_at IS NOT NULL;
