"""Customers: `python -m examples.shop.traffic URL` places a few orders per second, until it is stopped."""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.request
import uuid
from urllib.error import URLError

RATE = 3.0
"""Orders per second, on average."""

PRODUCTS = ("apple cake", "birch tea", "chestnut honey")
ADDRESSES = {
    "anna@example.org": 42,
    "ben@example.org": 42,
    "later-2@example.org": 15,
    "nobody@example.org": 1,
}
"""Who orders, and how often. README.md says what becomes of mail to the last two."""


def order(url: str, address: str, product: str, quantity: int) -> None:
    """Place an order. Raises URLError where the shop does not answer, or refuses."""
    body = {"email": address, "product": product, "quantity": quantity}
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    request = urllib.request.Request(f"{url}/orders", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()


def main(url: str) -> None:
    """Place orders; one that fails is told, and the next one tried."""
    while True:
        (address,) = random.choices(list(ADDRESSES), list(ADDRESSES.values()))
        try:
            order(url, address, random.choice(PRODUCTS), random.randint(1, 5))
        except (URLError, OSError) as error:
            print(f"an order was not taken: {error}", flush=True)
        time.sleep(random.expovariate(RATE))


if __name__ == "__main__":
    main(*sys.argv[1:])
