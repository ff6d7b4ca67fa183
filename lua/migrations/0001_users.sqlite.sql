-- `make run` applies this folder's files before it serves: see moongate migrate --help.
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 80)
);

INSERT INTO users (name) VALUES ('Ada Lovelace'), ('Grace Hopper');
