-- People: accounts, what they are in which business, how they prove who they are, and the mails to them.

CREATE TABLE accounts (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    language TEXT COLLATE "C" NOT NULL CHECK (language IN ('en', 'fr')),
    platform_admin BIGINT NOT NULL CHECK (platform_admin IN (0, 1)),
    password_hash TEXT COLLATE "C",
    totp_secret BYTEA,
    totp_kek_version BIGINT,
    -- NULL until a first code has shown that the app has the secret.
    totp_confirmed_at BIGINT,
    -- The last step whose code was accepted: no code is good twice.
    totp_last_step BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT accounts_email UNIQUE (email),
    CHECK ((totp_secret IS NULL) = (totp_kek_version IS NULL)),
    CHECK (totp_confirmed_at IS NULL OR totp_secret IS NOT NULL)
);

CREATE TABLE memberships (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('administrator', 'developer', 'analyst')),
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (business_id, account_id)
);

CREATE INDEX memberships_account ON memberships (account_id, business_id);

-- Which notices a member does not want, or wants beyond the default.
CREATE TABLE notice_settings (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    notice TEXT COLLATE "C" NOT NULL,
    wanted BIGINT NOT NULL CHECK (wanted IN (0, 1)),
    PRIMARY KEY (business_id, account_id, notice)
);

CREATE TABLE sessions (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    idle_ends_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    -- The last proof of who sits there: a password, a code, a passkey.
    verified_at BIGINT NOT NULL,
    address TEXT COLLATE "C",
    agent TEXT COLLATE "C",
    CONSTRAINT sessions_digest UNIQUE (digest)
);

CREATE INDEX sessions_account ON sessions (account_id, created_at);
CREATE INDEX sessions_ends_at ON sessions (ends_at);

CREATE TABLE one_time_tokens (
    digest BYTEA NOT NULL PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL CHECK (purpose IN ('first_run', 'reset', 'second_factor')),
    -- NULL for the first run, and for a reset that was asked for an address nobody has.
    account_id TEXT COLLATE "C" REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX one_time_tokens_account ON one_time_tokens (account_id, purpose);
CREATE INDEX one_time_tokens_expires_at ON one_time_tokens (expires_at);

CREATE TABLE invitations (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest BYTEA NOT NULL,
    -- NULL for a platform administrator.
    business_id TEXT COLLATE "C" REFERENCES businesses (id),
    role TEXT COLLATE "C" CHECK (role IN ('administrator', 'developer', 'analyst')),
    email TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    accepted_by TEXT COLLATE "C" REFERENCES accounts (id),
    revoked_at BIGINT,
    CONSTRAINT invitations_digest UNIQUE (digest),
    CHECK ((business_id IS NULL) = (role IS NULL)),
    CHECK ((accepted_at IS NULL) = (accepted_by IS NULL))
);

CREATE INDEX invitations_business ON invitations (business_id, created_at);

CREATE TABLE passkeys (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    credential TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    CONSTRAINT passkeys_credential UNIQUE (credential_id)
);

CREATE INDEX passkeys_account ON passkeys (account_id, created_at);

CREATE TABLE recovery_codes (
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    number BIGINT NOT NULL CHECK (number > 0),
    salt BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (account_id, number)
);

-- Failed proofs by a digest of whom they concern, so that an address nobody has looks like any other.
CREATE TABLE sign_in_attempts (
    subject BYTEA NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    blocked_until BIGINT
);

CREATE INDEX sign_in_attempts_last_at ON sign_in_attempts (last_at);

CREATE TABLE known_devices (
    digest BYTEA NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE INDEX known_devices_account ON known_devices (account_id, seen_at);
CREATE INDEX known_devices_seen_at ON known_devices (seen_at);

CREATE TABLE webauthn_ceremonies (
    digest BYTEA NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('registration', 'authentication')),
    account_id TEXT COLLATE "C" REFERENCES accounts (id),
    state TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX webauthn_ceremonies_expires_at ON webauthn_ceremonies (expires_at);

-- Mails that are not sent yet. What they say may hold a one-time link, so it is sealed, and goes once it is sent.
CREATE TABLE mails (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    account_id TEXT COLLATE "C" REFERENCES accounts (id),
    template TEXT COLLATE "C" NOT NULL,
    sealed BYTEA NOT NULL,
    kek_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    next_at BIGINT NOT NULL
);

CREATE INDEX mails_next_at ON mails (next_at, id);
