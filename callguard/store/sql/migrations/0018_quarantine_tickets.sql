-- What files in quarantine are encrypted by: one key, wrapped by a master key that is not in here; `wrapped` is its hex.
-- They are often nobody's whom we know, so it is no subject's.
CREATE TABLE quarantine_key (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    content_key_id TEXT NOT NULL,
    master TEXT NOT NULL,
    wrapped TEXT NOT NULL
);

-- What a call is known by elsewhere, such as in a ticket system: it joins the two, and goes with an erasure.
CREATE TABLE call_tickets (
    call_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (call_id, reference)
) WITHOUT ROWID;
CREATE INDEX call_tickets_by_reference ON call_tickets (reference);
