-- Requests that look written by a machine. Their mails are ordinary rows of the outbox, due when the wait is over: whatever
-- becomes of this table, they leave. Nothing of what was typed is in it.
CREATE TABLE quarantine (
    submission   INTEGER PRIMARY KEY REFERENCES submission (id),
    points       INTEGER NOT NULL,
    reasons      TEXT    NOT NULL,           -- words, one space between
    since_ms     INTEGER NOT NULL,
    until_ms     INTEGER NOT NULL,           -- its mails leave then, if nobody looked
    told_ms      INTEGER,                    -- when the mairie was told
    settled_ms   INTEGER,                    -- when a person released it or put it aside
    settled      TEXT    CHECK (settled IN ('libérée', 'écartée'))
) STRICT;
CREATE INDEX quarantine_waiting ON quarantine (until_ms) WHERE settled_ms IS NULL;
