-- Prolong the leases whose token is still the job's.
UPDATE distq.job j
SET leased_until = now() + %(ttl)s * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS l (id, token)
WHERE j.id = l.id AND j.token = l.token
RETURNING j.id
