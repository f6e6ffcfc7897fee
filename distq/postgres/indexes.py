"""The indexes that the migrations make, read from their text."""

from __future__ import annotations

import re

from distq.postgres.queries import migrations

_TABLE = re.compile(r"CREATE (?:UNLOGGED )?TABLE \S+\.(\w+) \(")
_PRIMARY = re.compile(r"PRIMARY KEY \((.*?)\)|(\w+)\s+\w+ PRIMARY KEY")
_CREATE = re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+) ON ")
_DROP = re.compile(r"DROP INDEX (?:IF EXISTS )?\S+\.(\w+)")


def expected_indexes(schema: str) -> dict[str, str]:
    """Each index by its name, with a statement that makes it while the queue is in use."""
    text = re.sub(r"--.*", "", "\n".join(text for _, text in migrations(schema)))
    found: dict[str, str] = {}
    for statement in (" ".join(part.split()) for part in text.split(";")):
        if (table := _TABLE.match(statement)) and (key := _PRIMARY.search(statement)):
            columns = key[1] or key[2]
            found[f"{table[1]}_pkey"] = f'ALTER TABLE "{schema}".{table[1]} ADD PRIMARY KEY ({columns});'
        elif index := _CREATE.match(statement):
            found[index[1]] = statement.replace("INDEX", "INDEX CONCURRENTLY", 1) + ";"
        elif gone := _DROP.match(statement):
            del found[gone[1]]
    return found
