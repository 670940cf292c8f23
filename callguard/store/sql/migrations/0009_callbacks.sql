-- When somebody last called one of the house's own numbers, E.164: that it can be called back.
CREATE TABLE callbacks (
    number TEXT NOT NULL PRIMARY KEY,
    called_at BIGINT NOT NULL
);
