"""The worker: a pool of processes, each of which leases jobs, runs them and settles them."""
