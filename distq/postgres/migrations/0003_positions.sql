-- How far maintenance has come in the indexes that it takes from the left.
ALTER TABLE distq.pulse ADD reclaimed_to timestamptz NOT NULL DEFAULT '-infinity',
    ADD pruned_to timestamptz NOT NULL DEFAULT '-infinity',
    ADD swept_at timestamptz NOT NULL DEFAULT '-infinity';

COMMENT ON COLUMN distq.pulse.reclaimed_to IS 'No lease ran out before, but those that were locked or not committed yet.';
COMMENT ON COLUMN distq.pulse.pruned_to IS 'No result expired before, but those that were locked or not committed yet.';
COMMENT ON COLUMN distq.pulse.swept_at IS 'When a pass last looked for those.';

CREATE FUNCTION distq.tell_ready(channel text, queue text, first timestamptz) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify(channel, queue || '@' || floor(extract(epoch FROM first) * 100))
$$;

COMMENT ON FUNCTION distq.tell_ready IS 'Notifies the workers of a queue that jobs are ready, and of the first of them: in hundredths of a second, so that a transaction says it once.';
