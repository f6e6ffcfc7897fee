"""`distq migrate` and `distq doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from distq.admin.doctor import diagnose
from distq.cli.output import answer
from distq.cli.parameters import App, AppOrUrl, Json, Url, default_url
from distq.cli.session import Session
from distq.connect import connect
from distq.finding import Finding, Severity
from distq.locate import load_app


def migrate(url: Url, json: Json = False) -> None:
    """Create or upgrade what the storage needs. Safe to repeat, and for two at once.

    Example: distq migrate --url postgresql://localhost/app
    """
    with Session(connect(url), private=True) as session:
        done = session.call(session.storage.migrate)
    answer(done, *done, json=json)


def doctor(url: AppOrUrl = None, app: App = None, json: Json = False) -> None:
    """Examine the storage, what waits in it, and who is there to run it.

    With --app also whether the workers fit its tasks, and its time limits.
    Exit status 1 where a problem is found.

    Example: distq doctor --app shop:app
    """
    found = load_app(app) if app else None
    storage = found.storage if found and not url else connect(default_url(url))
    with Session(storage, private=True) as session:
        findings = session.call(lambda: diagnose(storage, found))
    shown = [{name: value for name, value in asdict(finding).items() if value} for finding in findings]
    answer(shown, *_lines(findings), json=json)
    if any(finding.severity is Severity.PROBLEM for finding in findings):
        raise typer.Exit(1)


def _lines(findings: list[Finding]) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.severity:<8} {finding.what}")
        lines += [f"{'':<8} {mark} {text}" for mark, text in _details(finding) if text]
    return lines


def _details(finding: Finding) -> list[tuple[str, str]]:
    return [("why: ", finding.why), ("mend:", finding.remedy)]
