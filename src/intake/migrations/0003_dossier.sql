-- What becomes of a request after its acceptance, and the morning's digest.

-- One row each event of a request's life, numbered from 1: the number makes two agents who act at once notice each other.
CREATE TABLE act (
    submission   INTEGER NOT NULL REFERENCES submission (id),
    number       INTEGER NOT NULL,
    at_ms        INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    payload      BLOB,                       -- sealed JSON: who, what, the letter; NULL once purged
    PRIMARY KEY (submission, number)
) STRICT;

-- 'accueil': composed at acceptance; 'suite': after an act; 'bulletin': the digest, kept with the first request it tells of.
-- Only the first kind says whether a request has reached the mairie.
ALTER TABLE mail ADD COLUMN kind TEXT NOT NULL DEFAULT 'accueil' CHECK (kind IN ('accueil', 'suite', 'bulletin'));

-- Mornings looked at, with or without a mail.
CREATE TABLE bulletin (
    day          TEXT    PRIMARY KEY,        -- AAAA-MM-JJ in the commune's zone
    mails        INTEGER NOT NULL
) STRICT;
