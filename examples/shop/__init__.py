"""A small shop on FastAPI and PostgreSQL, whose work is done by distq. README.md tells it.

What a reader will look for first is in `orders.py` (a job in the request's own transaction), `tasks.py` (all
tasks) and `routes/` (the handlers). `python -m examples.shop` starts it all: `make example`.
"""
