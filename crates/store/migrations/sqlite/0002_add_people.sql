-- People: accounts, what they are in which business, how they prove who they are, and the mails to them.

CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL CHECK (language IN ('en', 'fr')),
    platform_admin INTEGER NOT NULL CHECK (platform_admin IN (0, 1)),
    password_hash TEXT,
    totp_secret BLOB,
    totp_kek_version INTEGER,
    -- NULL until a first code has shown that the app has the secret.
    totp_confirmed_at INTEGER,
    -- The last step whose code was accepted: no code is good twice.
    totp_last_step INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    CONSTRAINT accounts_email UNIQUE (email),
    CHECK ((totp_secret IS NULL) = (totp_kek_version IS NULL)),
    CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL)
) STRICT;

CREATE TABLE memberships (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    role TEXT NOT NULL CHECK (role IN ('administrator', 'developer', 'analyst')),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (business_id, account_id)
) STRICT;

CREATE INDEX memberships_account ON memberships (account_id, business_id);

-- Which notices a member does not want, or wants beyond the default.
CREATE TABLE notice_settings (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    account_id TEXT NOT NULL REFERENCES accounts (id),
    notice TEXT NOT NULL,
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    PRIMARY KEY (business_id, account_id, notice)
) STRICT;

CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    idle_ends_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    -- The last proof of who sits there: a password, a code, a passkey.
    verified_at INTEGER NOT NULL,
    address TEXT,
    agent TEXT,
    CONSTRAINT sessions_digest UNIQUE (digest)
) STRICT;

CREATE INDEX sessions_account ON sessions (account_id, created_at);
CREATE INDEX sessions_ends_at ON sessions (ends_at);

CREATE TABLE one_time_tokens (
    digest BLOB NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL CHECK (purpose IN ('first_run', 'reset', 'second_factor')),
    -- NULL for the first run, and for a reset that was asked for an address nobody has.
    account_id TEXT REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX one_time_tokens_account ON one_time_tokens (account_id, purpose);
CREATE INDEX one_time_tokens_expires_at ON one_time_tokens (expires_at);

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    -- NULL for a platform administrator.
    business_id TEXT REFERENCES businesses (id),
    role TEXT CHECK (role IN ('administrator', 'developer', 'analyst')),
    email TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    accepted_at INTEGER,
    accepted_by TEXT REFERENCES accounts (id),
    revoked_at INTEGER,
    CONSTRAINT invitations_digest UNIQUE (digest),
    CHECK ((business_id IS NULL) = (role IS NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_by IS NULL))
) STRICT;

CREATE INDEX invitations_business ON invitations (business_id, created_at);

CREATE TABLE passkeys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    credential_id BLOB NOT NULL,
    name TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    CONSTRAINT passkeys_credential UNIQUE (credential_id)
) STRICT;

CREATE INDEX passkeys_account ON passkeys (account_id, created_at);

CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    number INTEGER NOT NULL CHECK (number > 0),
    salt BLOB NOT NULL,
    digest BLOB NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (account_id, number)
) STRICT;

-- Failed proofs by a digest of whom they concern, so that an address nobody has looks like any other.
CREATE TABLE sign_in_attempts (
    subject BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    blocked_until INTEGER
) STRICT;

CREATE INDEX sign_in_attempts_last_at ON sign_in_attempts (last_at);

CREATE TABLE known_devices (
    digest BLOB NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

CREATE INDEX known_devices_account ON known_devices (account_id, seen_at);
CREATE INDEX known_devices_seen_at ON known_devices (seen_at);

CREATE TABLE webauthn_ceremonies (
    digest BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('registration', 'authentication')),
    account_id TEXT REFERENCES accounts (id),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webauthn_ceremonies_expires_at ON webauthn_ceremonies (expires_at);

-- Mails that are not sent yet. What they say may hold a one-time link, so it is sealed, and goes once it is sent.
CREATE TABLE mails (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT REFERENCES accounts (id),
    template TEXT NOT NULL,
    sealed BLOB NOT NULL,
    kek_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    next_at INTEGER NOT NULL
) STRICT;

CREATE INDEX mails_next_at ON mails (next_at, id);
