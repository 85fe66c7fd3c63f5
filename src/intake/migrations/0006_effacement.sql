-- Files whose rows are gone and whose bytes may still lie there: a bucket may die between the two.
CREATE TABLE erasure (
    id           TEXT    PRIMARY KEY CHECK (length(id) = 32)
) STRICT;
