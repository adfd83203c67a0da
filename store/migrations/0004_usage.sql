-- The sums of one account or key, among those of all.
CREATE INDEX rollups_of_account ON rollups (account_id, grain, at);
CREATE INDEX rollups_of_key ON rollups (key_id, grain, at, account_id);
