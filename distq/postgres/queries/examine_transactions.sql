-- Transactions of this database that are open for longer than so many seconds, the oldest first: process, user, program,
-- state, seconds. Of sessions that we may not see only the first is known.
SELECT pid, usename, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (clock_timestamp() - xact_start > %(seconds)s * interval '1 second' OR query = '<insufficient privilege>')
ORDER BY xact_start NULLS LAST
