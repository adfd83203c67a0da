-- Keys of administrators. One without a hash signs its requests; what it signs with is stored nowhere.
CREATE TABLE admin_keys (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    hash       TEXT UNIQUE,
    last_four  TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- What signed requests may not come again with, until they would be too old anyhow.
CREATE TABLE nonces (
    access_key TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (access_key, nonce)
);

CREATE INDEX nonces_by_end ON nonces (expires_at);

-- What keys were before they were rotated, for as long as that works too.
CREATE TABLE old_hashes (
    hash       TEXT PRIMARY KEY,
    key_id     TEXT NOT NULL,
    last_four  TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX old_hashes_of_key ON old_hashes (key_id);
