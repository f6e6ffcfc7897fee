"""What may go wrong in the shop: each has one line for whoever asked, and an HTTP status."""

from __future__ import annotations


class ShopError(Exception):
    """Base of the shop's errors."""

    status = 400


class NotFound(ShopError):
    """There is no such order, picture or import."""

    status = 404


class UnknownProduct(ShopError):
    """The shop does not sell it."""

    status = 404


class OutOfStock(ShopError):
    """More was ordered than there is."""

    status = 409


class KeyReused(ShopError):
    """An Idempotency-Key came again, with another order."""

    status = 422


class TooLarge(ShopError):
    """More bytes were uploaded than are taken."""

    status = 413


class BadPriceList(ShopError):
    """A price list cannot be read; the message says in which line."""


class MailRefused(ShopError):
    """The mail server refuses a mail for good."""
