"""Encryption at rest."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning


def _configured(facts: Facts) -> Iterator[Problem]:
    if facts.config.keys is None:
        yield warning(
            "recordings, numbers and names are kept as anybody can read them who gets at the disk or a backup",
            "encryption at rest limits what a loss of them does (GDPR Art. 32(1)(a), 34(3)(a)), and lets one person's "
            "recordings be erased in backups too",
            "callguard keys new FILE, and [keys] master = { file = FILE } in callguard.toml: docs/encryption.md",
        )


def _readable(facts: Facts) -> Iterator[Problem]:
    if facts.here.keys:
        yield risk(
            f"the master keys cannot be used: {facts.here.keys}",
            "callguard does not start; one that runs does not take a new configuration",
            "do as it says, as the user that callguard runs as; where the key is lost, put its copy in its place",
        )


def _done(facts: Facts) -> Iterator[Problem]:
    if facts.config.keys is not None and (clear := known(facts.here.clear_files)):
        yield warning(
            f"files of kept recordings that are not encrypted (yet): {clear}",
            "what was there before [keys], or has just ended, takes a while; what stays cannot be encrypted",
            "callguard's log says why, every minute; callguard recordings verify names what is missing or damaged",
        )


def _columns(facts: Facts) -> Iterator[Problem]:
    rows = known(facts.here.clear_rows)
    if rows.count:
        yield warning(
            f"rows of the store with a number, a name or somebody's words in the clear (yet): {rows.count}",
            "what was there before [keys] takes a while: about a minute for 100,000 rows",
            "start callguard, or reload it, with [keys]; where it runs with them, its log says why",
        )
    elif rows.to_clean:
        yield warning(
            "pages of the store's file may still hold numbers and names from before [keys]",
            "a store of this size is not rewritten while calls wait for it",
            "callguard keys clean, when nobody calls",
        )


def _live(facts: Facts) -> Iterator[Problem]:
    disk, folder = known(facts.here.disk), facts.config.recording.folder.path_here
    if not disk.safe:
        yield warning(
            f"{folder} lies on a disk that is not encrypted ({disk.what})",
            "Asterisk writes a recording in the clear until its call ends, and what was removed can be found on a disk",
            "a folder on an encrypted disk (LUKS), or on tmpfs with another for what is encrypted: docs/encryption.md",
        )
    if not disk.lasts and facts.config.recording.encrypted_folder is None:
        yield warning(
            f"{folder} lies in memory ({disk.what}), and recordings are kept there",
            "with the power all of them are gone",
            "encrypted_folder in [recording], on a disk: docs/encryption.md",
        )


CHECKS = (
    Check("keys.configured", "Recordings are encrypted as soon as they are complete", Severity.WARNING, _configured),
    Check("keys.readable", "The master keys can be read, by callguard alone", Severity.RISK, _readable),
    Check("keys.done", "No kept recording is left in the clear", Severity.WARNING, _done),
    Check("keys.columns", "No number and no name is left in the clear in the store", Severity.WARNING, _columns),
    Check("keys.live", "Recordings are made in memory or on an encrypted disk", Severity.WARNING, _live),
)
