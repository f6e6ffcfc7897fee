CREATE TYPE distq.job_state AS ENUM ('waiting', 'scheduled', 'ready', 'leased', 'done', 'dead', 'cancelled');

CREATE TABLE distq.job (
    id           uuid PRIMARY KEY,
    queue        text NOT NULL,
    task         text NOT NULL,
    payload      bytea NOT NULL,
    state        distq.job_state NOT NULL,
    ready_at     timestamptz NOT NULL,
    tries        int NOT NULL DEFAULT 0,
    crashes      int NOT NULL DEFAULT 0,
    token        uuid,
    worker       text,
    leased_until timestamptz,
    error        bytea,
    enqueued_at  timestamptz NOT NULL DEFAULT now()
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.1
);

COMMENT ON TABLE distq.job IS 'Jobs that have not ended. Small and hot: what ends moves to distq.finished.';
COMMENT ON COLUMN distq.job.payload IS 'Headers and arguments as distq encodes them: convert_from(payload, ''utf8'') shows them.';
COMMENT ON COLUMN distq.job.ready_at IS 'When the job may run, or since when it could: the order of leasing.';
COMMENT ON COLUMN distq.job.tries IS 'Failed attempts so far.';
COMMENT ON COLUMN distq.job.crashes IS 'Workers that died in this job. Above 0 it is a suspect and is leased alone.';
COMMENT ON COLUMN distq.job.token IS 'The fence: only who holds it may extend or settle.';
COMMENT ON COLUMN distq.job.worker IS 'The worker process that holds the lease.';
COMMENT ON COLUMN distq.job.leased_until IS 'When the lease may be taken away.';
COMMENT ON COLUMN distq.job.error IS 'The last attempt''s error, JSON.';

CREATE INDEX job_ready ON distq.job (queue, ready_at, id) WHERE state = 'ready' AND crashes = 0;
CREATE INDEX job_suspect ON distq.job (queue, ready_at) WHERE state = 'ready' AND crashes > 0;
CREATE INDEX job_scheduled ON distq.job (ready_at) WHERE state = 'scheduled';
CREATE INDEX job_leased ON distq.job (leased_until) WHERE state = 'leased';

CREATE TABLE distq.finished (
    id          uuid PRIMARY KEY,
    queue       text NOT NULL,
    task        text NOT NULL,
    payload     bytea,
    state       distq.job_state NOT NULL,
    tries       int NOT NULL,
    crashes     int NOT NULL,
    body        bytea NOT NULL,
    enqueued_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz
);

COMMENT ON TABLE distq.finished IS 'Jobs that have ended, until expires_at; dead ones until somebody removes them.';
COMMENT ON COLUMN distq.finished.payload IS 'Kept where the job may be replayed; NULL for done jobs.';
COMMENT ON COLUMN distq.finished.body IS 'The result, or the error, JSON.';

CREATE INDEX finished_expiry ON distq.finished (expires_at);

CREATE TABLE distq.pulse (ticked_at timestamptz NOT NULL);
INSERT INTO distq.pulse VALUES ('-infinity');

COMMENT ON TABLE distq.pulse IS 'One row: the last maintenance pass. A gap means that no worker could reach the database.';
