-- The logo of a business. Its address holds its digest, so that another logo has another address.
CREATE TABLE logos (
    business_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES businesses (id),
    -- SHA-256 of the content.
    digest BYTEA NOT NULL,
    format TEXT COLLATE "C" NOT NULL CHECK (format IN ('png', 'jpeg', 'webp')),
    width BIGINT NOT NULL CHECK (width > 0),
    height BIGINT NOT NULL CHECK (height > 0),
    content BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL
);

CREATE INDEX logos_digest ON logos (digest);

-- Forms that wait until whoever sent them has proved who they are; they are shown again as they were sent.
CREATE TABLE kept_forms (
    -- SHA-256, in base64url, of what the browser brings back.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The session that sent it. No reference: it may end at any time, and the form goes by its own.
    session_id TEXT COLLATE "C" NOT NULL,
    -- The page that shows it.
    page TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    kek_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX kept_forms_session ON kept_forms (session_id, created_at);
CREATE INDEX kept_forms_expires_at ON kept_forms (expires_at);
