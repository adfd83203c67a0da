-- What all keys of an account are held to together, and for how many days what they ask and get is kept.
ALTER TABLE accounts ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
ALTER TABLE accounts ADD COLUMN content_days BIGINT NOT NULL DEFAULT 0;

CREATE TABLE projects (
    id          TEXT PRIMARY KEY,
    account_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    rules       TEXT NOT NULL,
    disabled_at BIGINT,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (account_id, name)
);

ALTER TABLE keys ADD COLUMN project_id TEXT;
CREATE INDEX keys_of_project ON keys (project_id);

-- Limits per minute that several servers share: what of each was taken, and what of it is lent out.
CREATE TABLE shared_limits (
    id          TEXT PRIMARY KEY,
    free_ns     BIGINT NOT NULL,
    at_ns       BIGINT NOT NULL,
    lent_now    BIGINT NOT NULL,
    lent_before BIGINT NOT NULL,
    taken       BIGINT NOT NULL
);

CREATE INDEX shared_limits_by_age ON shared_limits (at_ns);

-- What was asked and answered, of accounts that wish it kept.
CREATE TABLE contents (
    request_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    request    TEXT NOT NULL,
    answer     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX contents_by_end ON contents (expires_at);
