-- What worker processes say of themselves, and what they did in all. Older code goes on: it leaves the new columns at
-- their defaults, and whoever deletes a worker adds its tallies, without knowing of it.
ALTER TABLE distq.worker
    ADD COLUMN vitals  bytea NOT NULL DEFAULT '',
    ADD COLUMN tallies jsonb NOT NULL DEFAULT '{}';

COMMENT ON COLUMN distq.worker.vitals IS 'What else it says of itself, JSON: convert_from(vitals, ''utf8'') shows it.';
COMMENT ON COLUMN distq.worker.tallies IS 'How many attempts it has ended since it started: queue, kind of outcome, number.';

CREATE TABLE distq.tally (
    queue  text NOT NULL,
    kind   text NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (queue, kind)
);

COMMENT ON TABLE distq.tally IS 'How many attempts worker processes ended that are not in distq.worker any more.';
COMMENT ON COLUMN distq.tally.queue IS 'The queue.';
COMMENT ON COLUMN distq.tally.kind IS 'The kind of outcome.';
COMMENT ON COLUMN distq.tally.number IS 'How many. It never falls.';

-- At the end of a statement, when it has locked all workers that it will, and in one order: so nobody waits in a circle.
CREATE FUNCTION distq.add_tallies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO distq.tally AS t (queue, kind, number)
    SELECT q.key, k.key, sum(k.value::bigint)
    FROM gone, jsonb_each(gone.tallies) q, jsonb_each_text(q.value) k
    GROUP BY q.key, k.key
    ORDER BY q.key, k.key
    ON CONFLICT (queue, kind) DO UPDATE SET number = t.number + excluded.number;
    RETURN NULL;
END $$;

COMMENT ON FUNCTION distq.add_tallies IS 'Keeps the tallies of workers that are deleted.';

CREATE TRIGGER add_tallies AFTER DELETE ON distq.worker
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION distq.add_tallies();

CREATE FUNCTION distq.leave(worker text, last jsonb) RETURNS void LANGUAGE sql AS $$
    UPDATE distq.worker SET tallies = leave.last WHERE name = leave.worker AND leave.last IS NOT NULL;
    DELETE FROM distq.worker WHERE name = leave.worker;
$$;

COMMENT ON FUNCTION distq.leave IS 'Deletes a worker, with its last tallies where they are known.';
