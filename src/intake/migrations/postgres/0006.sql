-- See 0006_effacement.sql.
CREATE TABLE erasure (
    id           TEXT    COLLATE "C" PRIMARY KEY CHECK (length(id) = 32)
);
