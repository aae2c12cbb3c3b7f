-- The logo of a business. Its address holds its digest, so that another logo has another address.
CREATE TABLE logos (
    business_id TEXT NOT NULL PRIMARY KEY REFERENCES businesses (id),
    -- SHA-256 of the content.
    digest BLOB NOT NULL,
    format TEXT NOT NULL CHECK (format IN ('png', 'jpeg', 'webp')),
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0),
    content BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
) STRICT;

CREATE INDEX logos_digest ON logos (digest);

-- Forms that wait until whoever sent them has proved who they are; they are shown again as they were sent.
CREATE TABLE kept_forms (
    -- SHA-256, in base64url, of what the browser brings back.
    id TEXT NOT NULL PRIMARY KEY,
    -- The session that sent it. No reference: it may end at any time, and the form goes by its own.
    session_id TEXT NOT NULL,
    -- The page that shows it.
    page TEXT NOT NULL,
    sealed BLOB NOT NULL,
    kek_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX kept_forms_session ON kept_forms (session_id, created_at);
CREATE INDEX kept_forms_expires_at ON kept_forms (expires_at);
