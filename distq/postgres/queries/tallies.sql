-- How many attempts worker processes have ended, in parts: those that are gone together, and each that is there.
SELECT queue, kind, number FROM distq.tally
UNION ALL
SELECT q.key, k.key, k.value::bigint
FROM distq.worker w, jsonb_each(w.tallies) q, jsonb_each_text(q.value) k
