"""Personal columns: written and read through functions that every connection of a store has, so that queries name them.

| in a query | for |
|---|---|
| ``seal_number(:number)`` | a number that is written, and the one that is looked for |
| ``seal_agent(:name)`` | an agent's name, likewise |
| ``seal_actor(:name)`` | the name of who does something, as an agent's; none where the store is locked |
| ``seal_content(:text)`` | somebody's name or own words |
| ``seal_proof(:text)`` | what proves something: where evidence is, why a recording is held |
| ``open_text(column)`` | what any of these has written, as it was given |
| ``open_json(column)`` | JSON in which some texts are sealed |

A number and an agent's name are the same text each time, so that an index finds them: ``number IN
(seal_number(:number), :number)``, as a row from before there were keys is in the clear until its turn has come
(`column_sealing`). Without keys all of them hand back what they are given; in a locked store nothing is sealed, and
what would need it is not written.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from callguard.errors import CallguardError, InputError, StoreError
from callguard.store.queries import Transaction
from callguard.store.records import DataKeyKind, StoredDataKey

MARK: Final = "+~"
"""What a sealed text begins with. No number does, and a column that holds numbers takes it."""

UNREADABLE: Final = "(unreadable)"
"""What stands in place of a text that is not what was sealed, or whose key is not here. Nothing else is lost by it."""

_IN_JSON = re.compile(r'"(\+~[cps][A-Za-z0-9+/]+=*)"', re.ASCII)
# So many numbers are sealed once only, in the queries of one call.
_LATEST = 256


class ColumnCipher(Protocol):
    """Seals and opens texts by the data keys of one store; used by several threads."""

    def seal(self, kind: DataKeyKind, text: str) -> str:
        """Another text each time, which begins with `MARK`."""

    def seal_same(self, kind: DataKeyKind, text: str) -> str:
        """The same text each time, which begins with `MARK`."""

    def open(self, sealed: str) -> str | None:
        """What was sealed; None where it is not what this cipher has sealed."""


class ColumnKeys(Protocol):
    """What data keys are wrapped by."""

    def new_data_keys(self) -> tuple[StoredDataKey, ...]:
        """One of each kind, for a store that has none."""

    def column_cipher(self, stored: Sequence[StoredDataKey]) -> ColumnCipher:
        """What columns are sealed by. Raises: CallguardError, where one of the keys cannot be opened."""


HadKeys: TypeAlias = "Callable[[], ColumnKeys | None]"
"""Asked only where a store needs it: whoever may not read the master key can use a store that is in the clear."""


def no_keys() -> None:
    """Of a configuration without ``[keys]``."""


class Locked(StoreError):
    """The store's columns have been encrypted since it was opened, and here is no key to them."""


class Columns:
    """What the connections of one store seal and open by; they see a change of it with their next query."""

    def __init__(self) -> None:
        self._cipher: ColumnCipher | None = None
        self._next: tuple[frozenset[str], ColumnCipher] | None = None
        self._locked = False
        self._number = self._agent = _as_it_is

    @property
    def sealing(self) -> bool:
        """Whether what is written is encrypted."""
        return self._cipher is not None

    def register(self, connection: sqlite3.Connection) -> None:
        """Give a connection the functions. What is the same each time is worked out once for a query."""
        for name, function, same in (
            ("seal_number", self._seal_number, True),
            ("seal_agent", self._seal_agent, True),
            ("seal_actor", self._seal_actor, True),
            ("seal_content", self._seal_content, False),
            ("seal_proof", self._seal_proof, False),
            ("open_text", self._open_text, True),
            ("open_json", self._open_json, True),
        ):
            connection.create_function(name, 1, function, deterministic=same)

    def unlock(self, stored: Sequence[StoredDataKey], had: HadKeys, path: Path, *, or_lock: bool = False) -> None:
        """Seal and open from now on by a store's data keys; nothing where it has none.

        Args:
            or_lock: where they cannot be had nothing is sealed: only what has no number and no name is written.

        Raises:
            InputError: it has, and there is no master key; or that cannot be had.
            CallguardError: it opens none of them.
        """
        if not stored:
            return
        try:
            self._use(self._cipher_of(stored, had, path))
        except CallguardError:
            if not or_lock:
                raise
            self._locked = True
            self._number = self._agent = _not_in_the_clear

    def _cipher_of(self, stored: Sequence[StoredDataKey], had: HadKeys, path: Path) -> ColumnCipher:
        keys = had()
        if keys is None:
            raise InputError(
                "its numbers and names are encrypted, and the configuration has no [keys]: name the master key there",
                file=path,
            )
        return keys.column_cipher(stored)

    def expect(self, new: Sequence[StoredDataKey], cipher: ColumnCipher) -> None:
        """These keys are about to be committed: they are used from the first transaction on that finds them."""
        self._next = (frozenset(key.id for key in new), cipher)

    def check(self, transaction: Transaction) -> None:
        """Before each transaction: nothing is written in the clear any more once there are keys.

        Raises:
            Locked: another process has encrypted the store.
        """
        if self._cipher is not None or self._locked or not (stored := transaction.fetch("data_keys")):
            return
        if self._next is None or self._next[0] != {key["data_key_id"] for key in stored}:
            raise Locked("the store's columns were encrypted meanwhile: name the master key in [keys], and start again")
        self._use(self._next[1])

    def _use(self, cipher: ColumnCipher) -> None:
        self._number = lru_cache(_LATEST)(partial(cipher.seal_same, DataKeyKind.SUPPRESSION))
        self._agent = lru_cache(_LATEST)(partial(cipher.seal_same, DataKeyKind.CONTENT))
        self._cipher = cipher

    def _seal_number(self, text: str | None) -> str | None:
        return None if text is None else self._number(text)

    def _seal_agent(self, text: str | None) -> str | None:
        return None if text is None else self._agent(text)

    def _seal_actor(self, text: str | None) -> str | None:
        return None if self._locked else self._seal_agent(text)

    def _seal_content(self, text: str | None) -> str | None:
        return self._sealed(DataKeyKind.CONTENT, text)

    def _seal_proof(self, text: str | None) -> str | None:
        return self._sealed(DataKeyKind.PROOF, text)

    def _sealed(self, kind: DataKeyKind, text: str | None) -> str | None:
        if text is None:
            return None
        if self._locked:
            return _not_in_the_clear(text)
        return text if self._cipher is None else self._cipher.seal(kind, text)

    def _open_text(self, text: str | None) -> str | None:
        if text is None or not text.startswith(MARK):
            return text
        opened = None if self._cipher is None else self._cipher.open(text)
        return UNREADABLE if opened is None else opened

    def _open_json(self, text: str | None) -> str | None:
        if text is None or MARK not in text:
            return text
        return _IN_JSON.sub(lambda found: json.dumps(self._open_text(found[1]), ensure_ascii=False), text)


def _as_it_is(text: str) -> str:
    return text


def _not_in_the_clear(text: str) -> str:
    """SQLite undoes the statement, and so the whole transaction."""
    raise StoreError("this needs the master key, and nothing is written in the clear")
