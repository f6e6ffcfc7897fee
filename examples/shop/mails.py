"""The mails of the shop: what is in them, and how they are sent."""

from __future__ import annotations

from email.message import EmailMessage

import aiosmtplib

from examples.shop.errors import MailRefused
from examples.shop.orders import Order


def confirmation(order: Order) -> EmailMessage:
    """The mail that confirms an order. Sent twice it is the same, by its Message-ID."""
    mail = EmailMessage()
    mail["From"] = "The shop <shop@shop.example>"
    mail["To"] = order.email
    mail["Subject"] = f"Your order {order.id}"
    mail["Message-ID"] = f"<order-{order.id}@shop.example>"
    mail.set_content(f"{order.quantity} x {order.product}: {order.total:.2f} €. Thank you!\n")
    return mail


async def send(mail: EmailMessage, port: int) -> None:
    """Send a mail by the SMTP server of this machine.

    Raises:
        MailRefused: the server will never take it.
        aiosmtplib.SMTPException: it does not now.
    """
    try:
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=port, timeout=10)
    except aiosmtplib.SMTPResponseException as error:
        if error.code < 500:
            raise
        raise MailRefused(f"{error.code} {error.message}") from error
