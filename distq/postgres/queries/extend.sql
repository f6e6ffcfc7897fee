-- Prolong the leases whose token is still the job's, and note their progress.
UPDATE distq.job j
SET leased_until = now() + %(ttl)s * interval '1 second', progress = coalesce(l.progress, j.progress)
FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(progress)s::bytea[]) AS l (id, token, progress)
WHERE j.id = ANY (ARRAY[l.id]) AND j.token = l.token
RETURNING j.id, j.cancel_reason IS NOT NULL
