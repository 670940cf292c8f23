"""Prompts and recordings, on both sides."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts, StoreIs, Unknown, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning
from callguard.keys.names import Shelf

GIB, MIB = 2**30, 2**20
# Mixed WAV, 8 kHz, 16 bits.
BYTES_AN_HOUR = 16_000 * 3_600
STORE_MENDS = {
    StoreIs.MISSING: "systemctl start callguard makes it",
    StoreIs.CLOSED: "as root: chown callguard: {folder} {path}*; chmod u+rwx {folder}",
    StoreIs.DAMAGED: "systemctl stop callguard; put a backup of {path} in its place, or mend it with sqlite3's "
    ".recover (it holds the opt-outs); then systemctl start callguard",
    StoreIs.ANOTHER: "systemctl restart callguard updates an older schema; otherwise do as the line says",
}
# As `init --apply` makes the folder: Asterisk owns it, and what it writes there belongs to callguard's group.
OWNED = "install -d -o asterisk -g callguard -m 2770"
UMASK = "Asterisk's systemd unit: UMask=0007 (systemctl edit asterisk), then restart it when no calls are up"


def _built(facts: Facts) -> Iterator[Problem]:
    if facts.here.prompts:
        yield risk(
            f"the prompts cannot be used: {facts.here.prompts}",
            "callguard does not start, or would have nothing to play, so nobody is asked",
            "callguard prompts build, then systemctl restart callguard",
        )


def _heard(facts: Facts) -> Iterator[Problem]:
    folder = facts.config.prompts.folder
    deaf = [file for file, opened in known(facts.tried.sounds).items() if not opened]
    if deaf:
        yield risk(
            f"Asterisk cannot open the prompts: {', '.join(deaf)}",
            "a prompt that fails is no notice: every call goes on unrecorded",
            f"chmod -R g+rX,o+rX {folder.path_here} and the folders above it; and path_in_asterisk is the name under "
            "which Asterisk sees that folder",
        )


def _same(facts: Facts) -> Iterator[Problem]:
    folder = facts.config.recording.folder
    if not known(facts.tried.recorded).seen:
        yield risk(
            f"what Asterisk records to {folder.in_asterisk} does not appear in {folder.path_here}",
            "either Asterisk may not write there, or these are two folders: recordings are lost, or lie where no "
            "withdrawal reaches them",
            f"{OWNED} {folder.path_here}, and path_in_asterisk in callguard.toml is Asterisk's name for it; Asterisk's "
            "log says why it could not write, or a file doctor-….wav shows where it did",
        )


def _rights(facts: Facts) -> Iterator[Problem]:
    here, name = facts.here.folder, facts.config.recording.folder.path_here
    mend = f"as root: {OWNED} {name} (where callguard runs as another user: -g its group)"
    if isinstance(here, Unknown):
        yield risk(
            here.because,
            "callguard does not start; one that runs cannot finish recordings, or destroy what was withdrawn",
            f"{mend}; the folders above it must let callguard's user through",
        )
        return
    if not here.writable:
        yield risk(f"{name} may not be written to by this user", "recordings cannot be finished or destroyed", mend)
    if here.mode & 0o007:
        yield warning(f"{name} is open to everyone ({here.mode:o})", "recordings are personal data", mend)
    if not here.mode & 0o2000:
        yield warning(
            f"{name} has no setgid bit ({here.mode:o})",
            "new files may belong to a group that callguard is not in",
            mend,
        )


def _files(facts: Facts) -> Iterator[Problem]:
    file = known(facts.tried.recorded)
    if not file.seen:
        return
    if not file.readable or not file.removable:
        can = "read" if not file.readable else "remove"
        yield risk(
            f"callguard cannot {can} what Asterisk records (mode {file.mode:o})",
            "recordings can be neither kept with their proof nor destroyed when they are withdrawn",
            f"{UMASK}; the folder with mode 2770 and the shared group",
        )
    elif file.mode & 0o007:
        yield warning(
            f"what Asterisk records may be read by everyone (mode {file.mode:o})", "recordings are personal data", UMASK
        )


def _space(facts: Facts) -> Iterator[Problem]:
    here, name = known(facts.here.folder), Shelf.of(facts.config.recording).kept_in
    days = here.free_bytes / here.day_bytes if here.day_bytes else None
    lasts = f"{here.free_bytes // MIB} MiB are free at {name}, " + (
        f"{days:.0f} days as of late" if days is not None else f"{here.free_bytes // BYTES_AN_HOUR} hours of recording"
    )
    if here.free_bytes < 256 * MIB or (days is not None and days < 1):
        yield risk(lasts, "on a full disk nothing is recorded that should be", "make room, or shorten the retention")
    elif here.free_bytes < 2 * GIB or (days is not None and days < 14):
        yield warning(lasts, "on a full disk nothing is recorded that should be", "make room, or shorten the retention")


def _store(facts: Facts) -> Iterator[Problem]:
    fault, path = facts.here.store, facts.config.store.path
    if fault is not None:
        yield risk(
            f"the store cannot be read: {fault.what}",
            "without its store callguard asks nobody and allows no dial",
            STORE_MENDS[fault.kind].format(path=path, folder=path.parent),
        )


def _key(facts: Facts) -> Iterator[Problem]:
    if facts.here.ledger_key:
        yield risk(
            f"the ledger cannot be signed: {facts.here.ledger_key}",
            "callguard does not start with it, and evidence that nobody signed convinces nobody",
            "do as the line says, as root; where others may have read the key, set it aside and name another [ledger] "
            "origin: callguard makes a new one",
        )


CHECKS = (
    Check("prompts.built", "The prompts are built and current", Severity.RISK, _built),
    Check("prompts.heard", "Asterisk can open the prompts", Severity.RISK, _heard),
    Check("folder.same", "Recordings appear where callguard looks for them", Severity.RISK, _same),
    Check(
        "folder.rights", "The recordings' folder is for callguard and Asterisk, and nobody else", Severity.RISK, _rights
    ),
    Check("folder.files", "callguard may read and remove what Asterisk records", Severity.RISK, _files),
    Check("folder.space", "There is room for recordings", Severity.RISK, _space),
    Check("store.opens", "The store opens and its schema is current", Severity.RISK, _store),
    Check("ledger.key", "The key that signs the evidence is callguard's alone, or not made yet", Severity.RISK, _key),
)
