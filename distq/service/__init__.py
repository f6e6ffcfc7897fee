"""A service over a storage: JSON API, live dashboard, metrics. Needs the extra `distq[service]`."""
