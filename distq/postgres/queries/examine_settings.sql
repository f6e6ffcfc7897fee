-- The server's settings, as they are for this connection.
SELECT name, setting FROM pg_settings WHERE name = ANY (%(names)s)
