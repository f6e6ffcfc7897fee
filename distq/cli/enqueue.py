"""`distq enqueue`: one job, from the arguments as JSON."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic_core import from_json, to_json

from distq.app import DistQ
from distq.cli.output import answer
from distq.cli.parameters import App, AppOrUrl, Json, default_url, given
from distq.cli.session import Session
from distq.errors import ConfigurationError
from distq.ids import new_ids
from distq.job import NewJob
from distq.locate import load_app
from distq.messages import NO_HEADERS, encode_payload
from distq.options import Options


def enqueue(
    task: Annotated[str, typer.Argument(help="The task's registered name.", show_default=False)],
    arguments: Annotated[
        str, typer.Argument(help="""JSON: '{"to": "a@b.c"}', or with --app also '["a@b.c"]'.""")
    ] = "{}",
    app: App = None,
    url: AppOrUrl = None,
    queue: Annotated[
        str | None,
        typer.Option(help="The task's own by default.", show_default=False, callback=given),
    ] = None,
    delay: Annotated[
        float | None, typer.Option(min=0, help="Seconds until it is ready.", show_default=False)
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=9, help="9 goes first.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Unique among the queue's jobs.", show_default=False, callback=given),
    ] = None,
    json: Json = False,
) -> None:
    """Enqueue one job and print its id.

    With --app the arguments are validated, the task's own options hold, and so does the application's storage
    unless --url is given. Without it nothing is checked: the worker will do so.

    Example: distq enqueue shop.send '{"to": "a@b.c"}' --app shop:app --delay 60
    """
    chosen = {"queue": queue, "delay": delay, "priority": priority, "key": key}
    options = {name: value for name, value in chosen.items() if value is not None}
    call = _parse(arguments)
    if app:
        job_id = _through(load_app(app), url, task, call, options)
    else:
        job_id = _bare(default_url(url), task, call, Options(**options))
    answer({"id": job_id}, job_id, json=json)


def _parse(arguments: str) -> dict[str, Any] | list[Any]:
    try:
        call = from_json(arguments)
    except ValueError as error:
        raise ConfigurationError(f"the arguments are not JSON: {error}") from None
    if not isinstance(call, dict | list):
        raise ConfigurationError("the arguments must be a JSON object, or a list")
    return call


def _through(app: DistQ, url: str | None, task: str, call: Any, options: dict[str, Any]) -> str:
    """By the application, as its own code would."""
    with Session.at(url) if url else Session(app.storage) as session:
        app.move(session.storage)
        chosen = app.find_task(task).options(**options)
        return session.call(lambda: chosen.enqueue_many([call])[0].id)


def _bare(url: str, task: str, call: Any, options: Options) -> str:
    """By what the command line says alone."""
    if not isinstance(call, dict):
        raise ConfigurationError("a list of arguments needs --app, which knows their names; or use an object")
    if not task or "\n" in task:
        raise ConfigurationError(f"{task!r} cannot name a task: it must be one line")
    job = NewJob(
        new_ids(options.queue, 1)[0],
        options.queue,
        task,
        encode_payload(NO_HEADERS, to_json(call)),
        delay=options.delay,
        priority=options.priority,
        unique=options.claim,
    )
    with Session.at(url) as session:
        return session.run(session.storage.enqueue([job]))[0].id
