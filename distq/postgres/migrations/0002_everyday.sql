-- Priorities, keys, history, progress, cancelling, pause, search, workers, schedules, hints of ends.
-- Workers of version 1 go on beside ours: each new column has a constant default, and what was keeps its meaning.

ALTER TABLE distq.job
    ADD COLUMN priority      smallint NOT NULL DEFAULT 0,
    ADD COLUMN key           text,
    ADD COLUMN hold          text,
    ADD COLUMN hold_seconds  float8,
    ADD COLUMN history       jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN progress      bytea,
    ADD COLUMN leased_at     timestamptz,
    ADD COLUMN cancel_reason bytea;

COMMENT ON COLUMN distq.job.id IS 'UUIDv7, made by the client. The id that distq shows is queue:hex.';
COMMENT ON COLUMN distq.job.queue IS 'The queue: workers serve some of them.';
COMMENT ON COLUMN distq.job.task IS 'The registered name of the function.';
COMMENT ON COLUMN distq.job.state IS 'scheduled, ready or leased: docs/architecture.md has the drawing.';
COMMENT ON COLUMN distq.job.enqueued_at IS 'When the storage received it.';
COMMENT ON COLUMN distq.job.ready_at IS 'Scheduled: when the job may run. Ready or leased: its place in the order of leasing, which is since when it could run, less an hour for each level of priority.';
COMMENT ON COLUMN distq.job.priority IS '0 to 9; 9 goes first.';
COMMENT ON COLUMN distq.job.key IS 'Its unique key, if it was given one: see distq.key.';
COMMENT ON COLUMN distq.job.hold IS 'How long it holds the key: waiting (until the first lease), active (until the end and hold_seconds longer) or window (hold_seconds from the enqueue).';
COMMENT ON COLUMN distq.job.hold_seconds IS 'See hold.';
COMMENT ON COLUMN distq.job.history IS 'The latest attempts that failed, oldest first, as distq.remember writes them.';
COMMENT ON COLUMN distq.job.progress IS 'What its latest attempt reported, JSON.';
COMMENT ON COLUMN distq.job.leased_at IS 'When it was last leased; NULL: never.';
COMMENT ON COLUMN distq.job.cancel_reason IS 'Set while it runs and is to end: the error to end it with, JSON. NULL: nobody asked.';

CREATE INDEX job_scheduled_queue ON distq.job (queue, ready_at, id) WHERE state = 'scheduled';
DROP INDEX distq.job_suspect;
CREATE INDEX job_suspect ON distq.job (queue, ready_at, id) WHERE state = 'ready' AND crashes > 0;

ALTER TABLE distq.finished
    ADD COLUMN priority     smallint NOT NULL DEFAULT 0,
    ADD COLUMN key          text,
    ADD COLUMN hold         text,
    ADD COLUMN hold_seconds float8,
    ADD COLUMN history      jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN progress     bytea,
    ADD COLUMN worker       text,
    ADD COLUMN leased_at    timestamptz;

COMMENT ON TABLE distq.finished IS 'Jobs that have ended, until expires_at; dead and cancelled ones until somebody removes them.';
COMMENT ON COLUMN distq.finished.id IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.queue IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.task IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.state IS 'done, dead or cancelled.';
COMMENT ON COLUMN distq.finished.tries IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.crashes IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.enqueued_at IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.finished_at IS 'When it ended.';
COMMENT ON COLUMN distq.finished.expires_at IS 'When it may be forgotten; NULL: not by itself.';
COMMENT ON COLUMN distq.finished.priority IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.key IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.hold IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.hold_seconds IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.history IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.progress IS 'As in distq.job.';
COMMENT ON COLUMN distq.finished.worker IS 'The worker process that held the lease when it ended; NULL: none did.';
COMMENT ON COLUMN distq.finished.leased_at IS 'When that lease began.';

-- Partial so that nobody looks for an id in it: where a plan is made for an empty table that costs no more than in
-- the primary key.
CREATE INDEX finished_ended ON distq.finished (queue, state, finished_at, id) WHERE state <> 'waiting';

COMMENT ON COLUMN distq.pulse.ticked_at IS 'When it was made.';

-- A job's whole record, wherever it lies. No branch has a condition, else the planner would not look for ids in it by index.
CREATE VIEW distq.record AS
SELECT id, queue, task, state, payload, priority, key, tries, crashes, error AS body, progress, enqueued_at, ready_at,
       CASE WHEN state = 'leased' THEN worker END AS worker,
       CASE WHEN state = 'leased' THEN leased_at END AS leased_at,
       leased_until, NULL::timestamptz AS ended_at,
       state = 'leased' AND cancel_reason IS NOT NULL AS cancelling, history, NULL::timestamptz AS expires_at
FROM distq.job
UNION ALL
SELECT id, queue, task, state, payload, priority, key, tries, crashes, body, progress, enqueued_at, NULL,
       worker, leased_at, NULL, finished_at, false, history, expires_at
FROM distq.finished;

COMMENT ON VIEW distq.record IS 'All that is known of the jobs, those of distq.job and those of distq.finished.';
COMMENT ON COLUMN distq.record.id IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.queue IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.task IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.state IS 'Where the job is in its life.';
COMMENT ON COLUMN distq.record.payload IS 'As in distq.job; NULL for done jobs.';
COMMENT ON COLUMN distq.record.priority IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.key IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.tries IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.crashes IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.body IS 'The result, or the last error, JSON.';
COMMENT ON COLUMN distq.record.progress IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.enqueued_at IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.ready_at IS 'As in distq.job; NULL for jobs that have ended.';
COMMENT ON COLUMN distq.record.worker IS 'Who holds the lease, or held it when the job ended.';
COMMENT ON COLUMN distq.record.leased_at IS 'When that lease began.';
COMMENT ON COLUMN distq.record.leased_until IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.ended_at IS 'When it ended.';
COMMENT ON COLUMN distq.record.cancelling IS 'Whether it runs and is to end.';
COMMENT ON COLUMN distq.record.history IS 'As in distq.job.';
COMMENT ON COLUMN distq.record.expires_at IS 'As in distq.finished.';

CREATE TABLE distq.key (
    queue      text NOT NULL,
    key        text NOT NULL,
    job_id     uuid NOT NULL,
    until      timestamptz,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (queue, key)
);

COMMENT ON TABLE distq.key IS 'Who claimed a unique key last. Whether it is taken still is worked out from the job, see distq.claim: so a worker that ends a job need not wait for those who ask for its key.';
COMMENT ON COLUMN distq.key.queue IS 'Keys of two queues are apart.';
COMMENT ON COLUMN distq.key.key IS 'What jobs name in order to be one at a time.';
COMMENT ON COLUMN distq.key.job_id IS 'The job that claimed it.';
COMMENT ON COLUMN distq.key.until IS 'The end of the claim where it is known: of a window, or once the job''s record is gone. NULL: the job decides.';
COMMENT ON COLUMN distq.key.claimed_at IS 'When it was claimed: tells one claim from the next.';

CREATE INDEX key_until ON distq.key (until) WHERE until IS NOT NULL;

CREATE VIEW distq.claim AS
SELECT k.queue, k.key, k.job_id, k.claimed_at,
       coalesce(k.until, CASE
           WHEN j.hold <> 'waiting' OR (j.leased_at IS NULL AND j.state <> 'leased') THEN 'infinity'
           WHEN f.hold = 'active' THEN f.finished_at + f.hold_seconds * interval '1 second'
           ELSE '-infinity'
       END::timestamptz) AS until,
       coalesce(j.state IN ('scheduled', 'ready'), false) AS waits
FROM distq.key k
     LEFT JOIN distq.job j ON j.id = ANY (ARRAY[k.job_id])
     LEFT JOIN distq.finished f ON f.id = ANY (ARRAY[k.job_id]);

COMMENT ON VIEW distq.claim IS 'The keys, and how long their claims hold: a key is free where that is over.';
COMMENT ON COLUMN distq.claim.queue IS 'As in distq.key.';
COMMENT ON COLUMN distq.claim.key IS 'As in distq.key.';
COMMENT ON COLUMN distq.claim.job_id IS 'As in distq.key.';
COMMENT ON COLUMN distq.claim.claimed_at IS 'As in distq.key.';
COMMENT ON COLUMN distq.claim.until IS 'infinity where the job decides, and has not yet.';
COMMENT ON COLUMN distq.claim.waits IS 'Whether the job is scheduled or ready.';

CREATE TABLE distq.queue (
    name   text PRIMARY KEY,
    paused boolean NOT NULL
);

COMMENT ON TABLE distq.queue IS 'Queues that were paused or resumed; others are not.';
COMMENT ON COLUMN distq.queue.name IS 'The queue.';
COMMENT ON COLUMN distq.queue.paused IS 'Whether none of its jobs is leased.';

CREATE TABLE distq.worker (
    name    text PRIMARY KEY,
    host    text NOT NULL,
    pid     int NOT NULL,
    queues  text[] NOT NULL,
    tasks   text[] NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE distq.worker IS 'Worker processes, as they announced themselves.';
COMMENT ON COLUMN distq.worker.name IS 'As in distq.job.worker.';
COMMENT ON COLUMN distq.worker.host IS 'The machine it runs on.';
COMMENT ON COLUMN distq.worker.pid IS 'Its process id there.';
COMMENT ON COLUMN distq.worker.queues IS 'The queues it serves.';
COMMENT ON COLUMN distq.worker.tasks IS 'The tasks it knows.';
COMMENT ON COLUMN distq.worker.seen_at IS 'When it last said that it is alive.';

CREATE TABLE distq.schedule (
    queue  text NOT NULL,
    name   text NOT NULL,
    last   bigint NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    PRIMARY KEY (queue, name)
);

COMMENT ON TABLE distq.schedule IS 'Cron schedules: who moves last from one tick to the next has fired it.';
COMMENT ON COLUMN distq.schedule.queue IS 'The queue of the schedule''s jobs.';
COMMENT ON COLUMN distq.schedule.name IS 'The schedule.';
COMMENT ON COLUMN distq.schedule.last IS 'The last tick that was fired or skipped, in seconds since 1970.';
COMMENT ON COLUMN distq.schedule.paused IS 'Whether it does not fire.';

-- Not logged: after a crash only hints are lost.
CREATE UNLOGGED TABLE distq.watch (
    id    uuid PRIMARY KEY,
    queue text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE distq.watch IS 'Jobs whose end somebody waits for. Nearly always small, and often empty.';
COMMENT ON COLUMN distq.watch.id IS 'The job.';
COMMENT ON COLUMN distq.watch.queue IS 'Its queue.';
COMMENT ON COLUMN distq.watch.since IS 'When it was last asked for.';

CREATE INDEX watch_since ON distq.watch (since);

CREATE FUNCTION distq.refuse(key text, holder text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DQ001', MESSAGE = 'the key is taken', DETAIL = holder || ' ' || key;
END $$;

COMMENT ON FUNCTION distq.refuse IS 'Ends an enqueue that asked for an error where its key is taken, and leaves nothing of it.';

-- `escape` makes text of any bytes, \0 too, which jsonb refuses. 25 errors of a megabyte fit well into a jsonb.
CREATE FUNCTION distq.remember(
    history jsonb, at_most int, kind text, worker text, leased_at timestamptz, ran float8, error bytea
) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN jsonb_array_length(history) < at_most THEN history ELSE history - 0 END || jsonb_build_object(
        'kind', kind,
        'worker', worker,
        'leased_at', extract(epoch FROM coalesce(leased_at, now())),
        'ended_at', extract(epoch FROM now()),
        'ran', ran,
        'error', CASE WHEN octet_length(error) <= 1048576 THEN encode(error, 'escape') ELSE '' END
    )
$$;

COMMENT ON FUNCTION distq.remember IS 'A history with an attempt added and, where it is full, its oldest one dropped. Of an error above a megabyte the text is not kept.';

CREATE FUNCTION distq.tell_ended(ids uuid[], channel text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    gone record;
BEGIN
    FOR gone IN
        DELETE FROM distq.watch WHERE id = ANY (ARRAY(
            SELECT w.id FROM distq.watch w WHERE w.id = ANY (ids) FOR UPDATE SKIP LOCKED
        ))
        RETURNING id, queue
    LOOP
        PERFORM pg_notify(channel, gone.queue || ':' || translate(gone.id::text, '-', ''));
    END LOOP;
END $$;

COMMENT ON FUNCTION distq.tell_ended IS 'Notifies the listeners of those of the jobs that are watched. Waits for nobody: what is locked is a hint lost.';
