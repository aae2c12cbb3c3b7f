-- How a business takes payments in one environment. Where there is no row, everything is as it is by itself.
CREATE TABLE checkout_settings (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    -- The colour of buttons and links, as #rrggbb.
    accent TEXT COLLATE "C",
    languages TEXT COLLATE "C" NOT NULL CHECK (languages IN ('any', 'en', 'fr')),
    redirect_url TEXT COLLATE "C",
    -- A list of origins.
    origins TEXT COLLATE "C" NOT NULL,
    -- What may be missing of a price: base units of an asset, or thousandths of it.
    tolerance_amount BIGINT NOT NULL CHECK (tolerance_amount >= 0),
    tolerance_asset TEXT COLLATE "C" NOT NULL,
    tolerance_per_mille BIGINT NOT NULL CHECK (tolerance_per_mille BETWEEN 0 AND 50),
    accepts_late BIGINT NOT NULL CHECK (accepts_late IN (0, 1)),
    updated_at BIGINT NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business_id, environment)
);

-- What came in, day by day.
CREATE INDEX payments_settled ON payments (business_id, environment, settled_at) WHERE settled_at IS NOT NULL;
