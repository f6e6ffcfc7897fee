-- One job, wherever it is.
SELECT task, state::text, tries, crashes, coalesce(error, '') FROM distq.job WHERE id = %(id)s
UNION ALL
SELECT task, state::text, tries, crashes, body FROM distq.finished
WHERE id = %(id)s AND (expires_at IS NULL OR expires_at > now())
