-- One job, wherever it is.
SELECT queue, id, task, state::text, payload, priority, key, tries, crashes, body, progress, enqueued_at, ready_at,
       worker, leased_at, leased_until, ended_at, cancelling, history::text
FROM distq.record
WHERE id = %(id)s AND (expires_at IS NULL OR expires_at > now())
