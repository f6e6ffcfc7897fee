-- As find.sql, but the latest first: a page of the jobs of a queue in a state, against the order of leasing or of their
-- end, and one more, if there is one.
-- No more than `span` jobs are looked at: where the page is short for that, the last of them follows, without its record.
-- Each state has its branch and its index; the others are not executed. That of ended jobs is partial: none is waiting.
WITH age AS MATERIALIZED (
    SELECT statement_timestamp() - %(newer)s * interval '1 second' AS earliest,
           statement_timestamp() - %(older)s * interval '1 second' AS latest
), start AS MATERIALIZED (
    -- Before the last page; of ended jobs not after those that are old enough.
    SELECT moment, id FROM (
        SELECT 'epoch'::timestamptz + %(after)s::bigint * interval '1 microsecond' AS moment, %(after_id)s::uuid AS id
        UNION ALL
        SELECT CASE WHEN %(state)s IN ('done', 'dead', 'cancelled') THEN latest ELSE 'infinity' END,
               'ffffffff-ffff-ffff-ffff-ffffffffffff'
        FROM age
    ) s
    WHERE moment IS NOT NULL
    ORDER BY moment, id LIMIT 1
), examined AS MATERIALIZED (
    SELECT moment, id,
           (%(task)s = '' OR task = %(task)s)
           AND moment_of_age <= (SELECT latest FROM age) AND moment_of_age > (SELECT earliest FROM age)
           AND (%(text)s = ''::bytea OR position(%(text)s in body) > 0) AS found
    FROM (
        (SELECT ready_at AS moment, id, task, error AS body, enqueued_at AS moment_of_age FROM distq.job
         WHERE %(state)s = 'ready' AND queue = %(queue)s AND state = 'ready' AND crashes = 0
           AND (ready_at, id) < ((SELECT moment FROM start), (SELECT id FROM start))
         ORDER BY ready_at DESC, id DESC LIMIT %(span)s)
        UNION ALL
        (SELECT ready_at, id, task, error, enqueued_at FROM distq.job
         WHERE %(state)s = 'ready' AND queue = %(queue)s AND state = 'ready' AND crashes > 0
           AND (ready_at, id) < ((SELECT moment FROM start), (SELECT id FROM start))
         ORDER BY ready_at DESC, id DESC LIMIT %(span)s)
        UNION ALL
        (SELECT ready_at, id, task, error, enqueued_at FROM distq.job
         WHERE %(state)s = 'scheduled' AND queue = %(queue)s AND state = 'scheduled'
           AND (ready_at, id) < ((SELECT moment FROM start), (SELECT id FROM start))
         ORDER BY ready_at DESC, id DESC LIMIT %(span)s)
        UNION ALL
        (SELECT ready_at, id, task, error, enqueued_at FROM distq.job
         WHERE %(state)s = 'leased' AND queue = %(queue)s AND state = 'leased'
           AND (ready_at, id) < ((SELECT moment FROM start), (SELECT id FROM start))
         ORDER BY ready_at DESC, id DESC LIMIT %(span)s)
        UNION ALL
        (SELECT finished_at, id, task, body, finished_at FROM distq.finished
         WHERE %(state)s IN ('done', 'dead', 'cancelled') AND queue = %(queue)s AND state = %(state)s::distq.job_state
           AND state <> 'waiting'
           AND (finished_at, id) < ((SELECT moment FROM start), (SELECT id FROM start))
           AND finished_at > (SELECT earliest FROM age) AND (expires_at IS NULL OR expires_at > now())
         ORDER BY finished_at DESC, id DESC LIMIT %(span)s)
    ) e
    ORDER BY moment DESC, id DESC LIMIT %(span)s
), page AS MATERIALIZED (
    SELECT moment, id FROM examined WHERE found LIMIT %(limit)s + 1
), edge AS MATERIALIZED (
    SELECT moment, id FROM examined WHERE (SELECT count(*) FROM page) <= %(limit)s OFFSET %(span)s - 1
)
SELECT (extract(epoch FROM p.moment) * 1000000)::bigint, p.id,
       r.queue, r.id, r.task, r.state::text, r.payload, r.priority, r.key, r.tries, r.crashes, r.body, r.progress,
       r.enqueued_at, r.ready_at, r.worker, r.leased_at, r.leased_until, r.ended_at, r.cancelling, r.history::text
FROM (SELECT moment, id, id AS record FROM page UNION ALL SELECT moment, id, NULL FROM edge) p
     LEFT JOIN distq.record r ON r.id = ANY (ARRAY[p.record])
ORDER BY p.record IS NULL, p.moment DESC, p.id DESC
