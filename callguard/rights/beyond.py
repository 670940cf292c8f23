"""What else has a person's number and is not callguard's to erase: named, each with the statement that cleans it.

For the officer's eyes alone: the statements' parameters are the number, in the forms in which Asterisk has written it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import phonenumbers

_CDR = (
    "UPDATE cdr SET clid = '', src = '', dst = '', channel = '', dstchannel = '', lastdata = '' "
    "WHERE src IN ({numbers}) OR dst IN ({numbers}){calls}"
)
_CEL = (
    "UPDATE cel SET cid_name = '', cid_num = '', cid_ani = '', cid_rdnis = '', cid_dnid = '', exten = '', "
    "channame = '', appdata = '', peer = '', extra = '' "
    "WHERE cid_num IN ({numbers}) OR cid_ani IN ({numbers}) OR cid_dnid IN ({numbers}) OR exten IN ({numbers}){calls}"
)
_QUEUE = "UPDATE queue_log SET data2 = '' WHERE event = 'ENTERQUEUE' AND data2 IN ({numbers})"


@dataclass(frozen=True, slots=True)
class Beyond:
    """One place that callguard does not reach.

    Attributes:
        statement: SQL with `:name` for each of the parameters, or a command for a shell that reads them line by line.
    """

    what: str
    do: str
    statement: str
    parameters: tuple[str, ...] = ()
    linkedids: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        named = {f"number_{n}": one for n, one in enumerate(self.parameters, 1)}
        named |= {f"call_{n}": one for n, one in enumerate(self.linkedids, 1)}
        return {"what": self.what, "do": self.do, "statement": self.statement, "parameters": named}


def forms(number: str) -> tuple[str, ...]:
    """A number in E.164 as trunks and phones write it: with plus, without, with 00, and as its own country does."""
    parsed = phonenumbers.parse(number)
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    digits = "".join(one for one in national if one.isdigit())
    return tuple(dict.fromkeys((number, number[1:], f"00{number[1:]}", digits)))


def beyond(number: str | None, linkedids: Sequence[str]) -> tuple[Beyond, ...]:
    """All of them.

    Args:
        number: E.164; None where it was withheld, or is erased already.
        linkedids: what Asterisk's own records name the person's calls by.
    """
    numbers = () if number is None else forms(number)
    calls = tuple(dict.fromkeys(linkedids))
    if not numbers and not calls:
        return ()

    def sql(text: str, *, with_calls: bool = True) -> str:
        names = ", ".join(f":number_{n}" for n in range(1, len(numbers) + 1)) or "NULL"
        of = ", ".join(f":call_{n}" for n in range(1, len(calls) + 1))
        return text.format(numbers=names, calls=f" OR linkedid IN ({of})" if with_calls and of else "")

    search = "grep --files-with-matches --fixed-strings --file=NUMBERS {where}"
    return (
        Beyond("CDR: Asterisk's call records", "in its database", sql(_CDR), numbers, calls),
        Beyond("CEL: Asterisk's record of channel events", "in its database", sql(_CEL), numbers, calls),
        Beyond("queue_log, where it is a table", "in its database", sql(_QUEUE, with_calls=False), numbers),
        Beyond(
            "Asterisk's files: full log, messages, queue_log, CDR and CEL as CSV",
            "a file NUMBERS with the parameters, one in each line; what it names is rotated and removed, NUMBERS too",
            search.format(where="--recursive /var/log/asterisk"),
            numbers,
        ),
        Beyond(
            "voicemail: what they left, and what was left for them",
            "the same file NUMBERS; each message that it names is removed: its .txt, and its sound, which has a voice",
            search.format(where="--recursive --include='msg*.txt' /var/spool/asterisk/voicemail"),
            numbers,
        ),
        Beyond(
            "lists that were made: exports (CSV, ZIP), numbers submitted to registries and their receipts "
            "(registries/*.receipts beside the store)",
            "delete exports; a receipt runs out by itself, and the next one is of a list without the number",
            "",
        ),
        Beyond(
            "backups of Asterisk's databases and files, and of other programs' (CRM, telephony provider)",
            "let them run out, and do the same after each restore; a backup of callguard's own store is erased again",
            "",
        ),
    )
