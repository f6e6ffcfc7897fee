"""The contract of `distq/storage.py`: what a storage says of itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from distq.connect import connect
from distq.finding import Finding, Severity
from distq.storage import Storage


def test_a_healthy_storage_has_no_problem(storage: Storage) -> None:
    findings = storage.examine()
    assert findings
    assert all(isinstance(finding, Finding) and finding.what for finding in findings)
    assert [finding for finding in findings if finding.severity is Severity.PROBLEM] == []


def test_what_is_not_well_says_why_and_what_mends_it(url: str) -> None:
    """None of them is migrated."""
    storage = connect(url)
    found = [finding for finding in storage.examine() if finding.severity is not Severity.OK]
    assert found
    assert all(finding.why and finding.remedy for finding in found)
    storage.close()


def test_its_name_in_messages_is_its_place_alone(url: str) -> None:
    where = connect(url).where
    assert where.startswith(f"{urlsplit(url).scheme}://")
    assert "@" not in where
    assert "?" not in where
    assert (urlsplit(url).hostname or "") in where
