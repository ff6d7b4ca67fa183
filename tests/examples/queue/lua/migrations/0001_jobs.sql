CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL,
  fault TEXT
);
CREATE INDEX jobs_due ON jobs (due) WHERE state = 'waiting';
CREATE TABLE deliveries (id TEXT PRIMARY KEY, came REAL NOT NULL);
