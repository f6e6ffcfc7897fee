-- Let the ends of jobs be heard.
INSERT INTO distq.watch (id, queue)
SELECT id, queue FROM unnest(%(ids)s::uuid[], %(queues)s::text[]) AS n (id, queue)
ON CONFLICT (id) DO UPDATE SET since = now()
RETURNING id
