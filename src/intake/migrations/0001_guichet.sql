-- What the guichet keeps. Instants are milliseconds since 1970 (UTC), booleans are 0 or 1, so that the same text suits
-- PostgreSQL but for the STRICT words.

-- One row each accepted request; counts outlive the purge, what the person wrote does not.
CREATE TABLE submission (
    id           INTEGER PRIMARY KEY,
    reference    TEXT    NOT NULL UNIQUE,
    nonce        BLOB    NOT NULL UNIQUE CHECK (length(nonce) = 16),
    form_id      TEXT    NOT NULL,
    form_title   TEXT    NOT NULL,
    received_at  TEXT    NOT NULL,           -- with offset and zone, as shown on the receipt
    received_ms  INTEGER NOT NULL,
    purge_after  TEXT    NOT NULL,           -- AAAA-MM-JJ, last day kept
    sender       TEXT,                       -- JSON; NULL once purged
    receipt      TEXT,                       -- JSON; NULL once purged
    backup       TEXT    NOT NULL,           -- JSON list of mailboxes
    purged_ms    INTEGER
) STRICT;
CREATE INDEX submission_received ON submission (received_ms);
CREATE INDEX submission_purge ON submission (purge_after) WHERE purged_ms IS NULL;

CREATE TABLE answer (
    submission   INTEGER NOT NULL REFERENCES submission (id),
    position     INTEGER NOT NULL,
    answer       TEXT    NOT NULL,           -- JSON: question and answer together
    PRIMARY KEY (submission, position)
) STRICT;

CREATE TABLE file (
    submission   INTEGER NOT NULL REFERENCES submission (id),
    id           TEXT    NOT NULL CHECK (length(id) = 32),
    name         TEXT    NOT NULL,
    media_type   TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    hash         TEXT    NOT NULL,
    PRIMARY KEY (submission, id)
) STRICT;
CREATE INDEX file_id ON file (id);

CREATE TABLE mail (
    id           INTEGER PRIMARY KEY,
    submission   INTEGER NOT NULL REFERENCES submission (id),
    message_id   TEXT    NOT NULL UNIQUE,
    mail         TEXT                        -- JSON; NULL once purged
) STRICT;
CREATE INDEX mail_submission ON mail (submission);

-- One row each mail and recipient: what is still to do, and what became of it.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY,
    mail         INTEGER NOT NULL REFERENCES mail (id),
    role         TEXT    NOT NULL CHECK (role IN ('mairie', 'usager')),
    recipient    TEXT    NOT NULL,           -- '#' and the row's id once purged
    backup       INTEGER NOT NULL DEFAULT 0,
    bare         INTEGER NOT NULL DEFAULT 0, -- 1: without its attachments, which the server refused
    state        TEXT    NOT NULL CHECK (state IN ('à_envoyer', 'en_cours', 'remis', 'définitif', 'annulé')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    since_ms     INTEGER NOT NULL,           -- acceptance, or the order to send again: the retry period counts from here
    next_ms      INTEGER NOT NULL,
    lease_ms     INTEGER,
    settled_ms   INTEGER,
    last_code    INTEGER,
    last_outcome TEXT,
    UNIQUE (mail, recipient)
) STRICT;
CREATE INDEX outbox_due ON outbox (role, next_ms) WHERE state = 'à_envoyer';
CREATE INDEX outbox_leased ON outbox (lease_ms) WHERE state = 'en_cours';
CREATE INDEX outbox_failed ON outbox (id) WHERE state = 'définitif';

-- The way out: while it is blocked no mail is tried, and none loses an attempt.
CREATE TABLE route (
    name         TEXT    PRIMARY KEY,
    failures     INTEGER NOT NULL,
    since_ms     INTEGER NOT NULL,
    blocked_ms   INTEGER NOT NULL,
    reason       TEXT    NOT NULL
) STRICT;

-- What happened, without any address or text: the proof kept with the counts.
CREATE TABLE event (
    id           INTEGER PRIMARY KEY,
    at_ms        INTEGER NOT NULL,
    submission   INTEGER REFERENCES submission (id),
    outbox       INTEGER REFERENCES outbox (id),
    kind         TEXT    NOT NULL,
    phase        TEXT,
    code         INTEGER,
    class        TEXT
) STRICT;
CREATE INDEX event_submission ON event (submission);
