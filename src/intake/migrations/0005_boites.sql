-- Mailboxes requests may be sent to, and what proves that somebody of the mairie reads them. Sealed like all addresses.
CREATE TABLE boite (
    tag          BLOB    PRIMARY KEY CHECK (length(tag) = 16),
    address      BLOB    NOT NULL,           -- sealed
    since_ms     INTEGER NOT NULL,
    confirmed_ms INTEGER,
    proof        TEXT    CHECK (proof IN ('code', 'commande', 'remise')),
    issued_ms    INTEGER NOT NULL,           -- the code in force is made from this instant
    tries        INTEGER NOT NULL DEFAULT 0, -- wrong codes since
    sent_ms      INTEGER,                    -- when a server took the mail with that code
    next_ms      INTEGER NOT NULL,           -- that mail is tried then, as long as it is not sent
    attempts     INTEGER NOT NULL DEFAULT 0,
    refused      INTEGER                     -- SMTP code of the last refusal for good
) STRICT;

-- What was sent in the last hour is counted from what happened.
CREATE INDEX event_at ON event (at_ms);
