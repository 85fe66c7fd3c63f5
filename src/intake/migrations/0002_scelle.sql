-- What people wrote, sealed (intake::seal): each value is bound to its column and to what names its row. sealed() gives NULL
-- for NULL; tagged() stands for an address where only sameness counts. Foreign keys are off while this runs.

-- Tells the key that sealed this database from any other.
CREATE TABLE seal (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    mark         BLOB    NOT NULL,
    swept        INTEGER NOT NULL            -- 1: what lay in clear before this schema has left the disk
) STRICT;

CREATE TABLE new_submission (
    id           INTEGER PRIMARY KEY,
    reference    TEXT    NOT NULL UNIQUE,
    nonce        BLOB    NOT NULL UNIQUE CHECK (length(nonce) = 16),
    form_id      TEXT    NOT NULL,
    form_title   TEXT    NOT NULL,
    received_at  TEXT    NOT NULL,           -- with offset and zone, as shown on the receipt
    received_ms  INTEGER NOT NULL,
    purge_after  TEXT    NOT NULL,           -- AAAA-MM-JJ, last day kept
    sender       BLOB,                       -- sealed JSON; NULL once purged
    receipt      BLOB,                       -- sealed JSON; NULL once purged
    backup       BLOB    NOT NULL,           -- sealed JSON list of mailboxes
    purged_ms    INTEGER
) STRICT;
INSERT INTO new_submission
    SELECT id, reference, nonce, form_id, form_title, received_at, received_ms, purge_after,
           sealed(sender, 'submission.sender', reference), sealed(receipt, 'submission.receipt', reference),
           sealed(backup, 'submission.backup', reference), purged_ms
    FROM submission ORDER BY id;

CREATE TABLE new_answer (
    submission   INTEGER NOT NULL REFERENCES submission (id),
    position     INTEGER NOT NULL,
    answer       BLOB    NOT NULL,           -- sealed JSON: question and answer together
    PRIMARY KEY (submission, position)
) STRICT;
INSERT INTO new_answer
    SELECT answer.submission, answer.position,
           sealed(answer.answer, 'answer.answer', submission.reference, CAST(answer.position AS TEXT))
    FROM answer JOIN submission ON submission.id = answer.submission ORDER BY answer.submission, answer.position;

CREATE TABLE new_file (
    submission   INTEGER NOT NULL REFERENCES submission (id),
    id           TEXT    NOT NULL CHECK (length(id) = 32),
    file         BLOB    NOT NULL,           -- sealed JSON: name, type, size, hash
    PRIMARY KEY (submission, id)
) STRICT;
INSERT INTO new_file
    SELECT file.submission, file.id,
           sealed(json_object('id', file.id, 'name', file.name, 'media_type', file.media_type, 'size', file.size,
                              'hash', file.hash), 'file.file', submission.reference, file.id)
    FROM file JOIN submission ON submission.id = file.submission ORDER BY file.rowid;

CREATE TABLE new_mail (
    id           INTEGER PRIMARY KEY,
    submission   INTEGER NOT NULL REFERENCES submission (id),
    message_id   TEXT    NOT NULL UNIQUE,
    mail         BLOB                        -- sealed JSON; NULL once purged
) STRICT;
INSERT INTO new_mail
    SELECT mail.id, mail.submission, mail.message_id,
           sealed(mail.mail, 'mail.mail', submission.reference, mail.message_id)
    FROM mail JOIN submission ON submission.id = mail.submission ORDER BY mail.id;

CREATE TABLE new_outbox (
    id           INTEGER PRIMARY KEY,
    mail         INTEGER NOT NULL REFERENCES mail (id),
    role         TEXT    NOT NULL CHECK (role IN ('mairie', 'usager')),
    recipient    BLOB,                       -- sealed; NULL once purged
    tag          BLOB    NOT NULL,           -- one for each address of a mail; '#' and the row's id once purged
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
    UNIQUE (mail, tag)
) STRICT;
INSERT INTO new_outbox
    SELECT outbox.id, outbox.mail, outbox.role,
           iif(mail.mail IS NULL, NULL, sealed(outbox.recipient, 'outbox.recipient', mail.message_id)),
           iif(mail.mail IS NULL, CAST('#' || outbox.id AS BLOB),
               tagged(outbox.recipient, 'outbox.recipient', mail.message_id)),
           outbox.backup, outbox.bare, outbox.state, outbox.attempts, outbox.since_ms, outbox.next_ms, outbox.lease_ms,
           outbox.settled_ms, outbox.last_code, outbox.last_outcome
    FROM outbox JOIN mail ON mail.id = outbox.mail ORDER BY outbox.id;

DROP TABLE outbox;
DROP TABLE mail;
DROP TABLE file;
DROP TABLE answer;
DROP TABLE submission;
ALTER TABLE new_submission RENAME TO submission;
ALTER TABLE new_answer RENAME TO answer;
ALTER TABLE new_file RENAME TO file;
ALTER TABLE new_mail RENAME TO mail;
ALTER TABLE new_outbox RENAME TO outbox;

CREATE INDEX submission_received ON submission (received_ms);
CREATE INDEX submission_purge ON submission (purge_after) WHERE purged_ms IS NULL;
CREATE INDEX file_id ON file (id);
CREATE INDEX mail_submission ON mail (submission);
CREATE INDEX outbox_due ON outbox (role, next_ms) WHERE state = 'à_envoyer';
CREATE INDEX outbox_leased ON outbox (lease_ms) WHERE state = 'en_cours';
CREATE INDEX outbox_failed ON outbox (id) WHERE state = 'définitif';
