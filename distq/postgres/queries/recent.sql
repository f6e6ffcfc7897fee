-- How many jobs of a queue ended lately in each state, of the latest ones, and how long ago the first of these did.
-- None of them is waiting, but the index says so.
SELECT s.state, count(*), greatest(extract(epoch FROM statement_timestamp() - min(f.finished_at)), 0)::float8
FROM (VALUES ('done'), ('dead'), ('cancelled')) AS s (state),
     LATERAL (
         SELECT finished_at FROM distq.finished
         WHERE queue = %(queue)s AND state = s.state::distq.job_state AND state <> 'waiting'
           AND finished_at BETWEEN statement_timestamp() - %(within)s * interval '1 second' AND statement_timestamp()
         ORDER BY finished_at DESC, id DESC LIMIT %(most)s
     ) f
GROUP BY s.state
