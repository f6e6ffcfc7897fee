"""The PostgreSQL storage: SQL in `queries/`, schema in `migrations/`."""
