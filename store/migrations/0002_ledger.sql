CREATE TABLE accounts (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    currency     TEXT NOT NULL,
    credit_nanos BIGINT NOT NULL,
    quota_stops  BIGINT NOT NULL,
    suspended_at BIGINT,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

ALTER TABLE keys ADD COLUMN account_id TEXT;
ALTER TABLE keys ADD COLUMN rules TEXT NOT NULL DEFAULT '{}';
ALTER TABLE keys ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- Every place that tokens or money can be in. Those without an account are ours: what was paid in,
-- what was given, what was earned, what was used. All of one unit add up to zero.
CREATE TABLE buckets (
    id         TEXT PRIMARY KEY,
    account_id TEXT,
    kind       TEXT NOT NULL,
    unit       TEXT NOT NULL,
    models     TEXT NOT NULL,
    posted     BIGINT NOT NULL,
    pending    BIGINT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE INDEX buckets_of_account ON buckets (account_id, kind);

-- Never changed and never deleted.
CREATE TABLE transfers (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    debit      TEXT NOT NULL,
    credit     TEXT NOT NULL,
    amount     BIGINT NOT NULL CHECK (amount > 0),
    request_id TEXT,
    note       TEXT NOT NULL
);

CREATE INDEX transfers_of_debit ON transfers (debit, at);
CREATE INDEX transfers_of_credit ON transfers (credit, at);

CREATE TABLE holds (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    model      TEXT NOT NULL,
    price_id   TEXT NOT NULL,
    parts      TEXT NOT NULL,
    budgets    TEXT NOT NULL,
    instance   TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    settled_at BIGINT
);

CREATE INDEX holds_by_state ON holds (state, expires_at);

-- What a key has spent and may still spend in a day, a month, or ever.
CREATE TABLE budgets (
    key_id  TEXT NOT NULL,
    period  TEXT NOT NULL,
    spent   BIGINT NOT NULL,
    pending BIGINT NOT NULL,
    PRIMARY KEY (key_id, period)
);

CREATE TABLE requests (
    id             TEXT PRIMARY KEY,
    at             BIGINT NOT NULL,
    account_id     TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    task           TEXT NOT NULL,
    model          TEXT NOT NULL,
    status         TEXT NOT NULL,
    usage          TEXT NOT NULL,
    covered        TEXT NOT NULL,
    lines          TEXT NOT NULL,
    charge_nanos   BIGINT NOT NULL,
    price_id       TEXT NOT NULL,
    first_token_ms BIGINT,
    took_ms        BIGINT NOT NULL
);

CREATE INDEX requests_of_account ON requests (account_id, at);
CREATE INDEX requests_of_key ON requests (key_id, at);
CREATE INDEX requests_by_time ON requests (at);

CREATE TABLE rollups (
    account_id    TEXT NOT NULL,
    key_id        TEXT NOT NULL,
    model         TEXT NOT NULL,
    grain         TEXT NOT NULL,
    at            BIGINT NOT NULL,
    requests      BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    charge_nanos  BIGINT NOT NULL,
    PRIMARY KEY (grain, at, account_id, key_id, model)
);

CREATE TABLE prices (
    id              TEXT PRIMARY KEY,
    model           TEXT NOT NULL,
    account_id      TEXT,
    effective_from  BIGINT NOT NULL,
    effective_until BIGINT,
    currency        TEXT NOT NULL,
    price           TEXT NOT NULL,
    cost            TEXT,
    created_at      BIGINT NOT NULL
);

INSERT INTO meta (name, value) VALUES ('ledger', '0');

INSERT INTO buckets (id, account_id, kind, unit, models, posted, pending, expires_at, created_at) VALUES
    ('paid:CNY', NULL, 'paid', 'CNY', '*', 0, 0, NULL, 0),
    ('paid:USD', NULL, 'paid', 'USD', '*', 0, 0, NULL, 0),
    ('revenue:CNY', NULL, 'revenue', 'CNY', '*', 0, 0, NULL, 0),
    ('revenue:USD', NULL, 'revenue', 'USD', '*', 0, 0, NULL, 0),
    ('given:tokens', NULL, 'given', 'tokens', '*', 0, 0, NULL, 0),
    ('used:tokens', NULL, 'used', 'tokens', '*', 0, 0, NULL, 0);
