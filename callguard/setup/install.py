"""An installation, new or kept: what is written for it, and what is then left to do."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from callguard import config
from callguard.errors import InputError, SetupError
from callguard.keys.master import MasterKey
from callguard.setup import files
from callguard.setup.answers import Answers, a_folder
from callguard.setup.conf import Reader
from callguard.setup.emergency import EVERYWHERE, listed, with_more
from callguard.setup.files import CONFIGURATION, MASTER_KEY, Owners, Passwords
from callguard.setup.patch import ACCOUNT, MARK, Plan
from callguard.setup.steps import Setting, Step, steps, useradd
from callguard.setup.toml import Places, first_configuration
from callguard.setup.write import File, Owned, write_all
from callguard.shipped import shipped

BACKUP = ".before-callguard"
# More than enough not to be guessed: 192 bits.
SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it is installed.

    Attributes:
        etc: ``/etc/asterisk``, as it is seen here.
        user: the user that callguard runs as, or is going to.
        again: the command line that carries this out.
    """

    etc: Path
    user: str
    freepbx: bool
    again: str

    def has_user(self) -> bool:
        try:
            pwd.getpwnam(self.user)
        except KeyError:
            return False
        return True

    def must_have_user(self, state: Path, *, is_root: bool) -> None:
        """Before the Asterisk of this very machine is changed; an image's or a chroot's users are not looked at.

        Raises:
            InputError: root is to give files to a user that is not there.
        """
        if is_root and self.etc == Path("/etc/asterisk") and not self.has_user():
            problem = f"there is no user {self.user}, and nothing is changed; first: {useradd(self.user, state)}"
            raise InputError(problem, field="--user")

    def owners(self) -> Owners:
        found = self.etc.stat()
        try:
            entry = pwd.getpwnam(self.user)
        except KeyError:
            service = None
        else:
            service = entry.pw_uid, entry.pw_gid
        return Owners((found.st_uid, found.st_gid), service, os.geteuid() == 0)


@dataclass(frozen=True, slots=True)
class Installation:
    """What is going to be written, or kept.

    Attributes:
        first: files that only a new configuration has.
        emergency: the text of emergency.conf.
        without_officer: of a new one, nobody is named.
        more: emergency.conf with further numbers, where they are added to one that is kept.
        recordings: their folder; None where it is not known.
        settings: the configuration that is kept, if it is complete.
        open_texts: what is still to be written in a new one.
        fault: what is wrong with the one that is kept.
    """

    places: Places
    passwords: Passwords
    first: tuple[File, ...] = ()
    recordings: Path | None = None
    settings: config.Config | None = None
    open_texts: tuple[str, ...] = ()
    fault: str = ""
    emergency: str = ""
    more: tuple[File, ...] = ()
    without_officer: bool = False


def new(answers: Answers, places: Places, machine: Machine) -> Installation:
    """A new one, with secrets of its own; a configuration that was there is kept beside.

    Raises:
        InputError: the answers do not fit together.
    """
    passwords = Passwords(secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES))
    text = first_configuration(answers, places)
    first = files.first_files(answers, text, passwords, places, machine.owners())
    key = places.folder / MASTER_KEY
    if not key.exists():  # one that was there may have encrypted recordings
        first.append(File(key, MasterKey.new().text.encode(), machine.owners().key))
    old = places.folder / CONFIGURATION
    if old.exists():
        number = 1
        while (beside := old.with_name(f"{CONFIGURATION}.old-{number}")).exists():
            number += 1
        first.insert(0, File(beside, old.read_bytes(), Owned.like(old)))
    return Installation(
        places, passwords, tuple(first), answers.recordings, open_texts=answers.open_texts(),
        without_officer=not answers.officers,
        emergency=files.emergency_file(answers, places).data.decode(),
    )  # fmt: skip


def kept(places: Places, further: tuple[str, ...] = ()) -> Installation:
    """The one that is there.

    Args:
        further: emergency numbers that are added to its own.

    Raises:
        InputError: its accounts are not those that init makes, or its emergency numbers are missing.
        SetupError: one of its files cannot be read.
    """
    file = places.folder / CONFIGURATION
    emergency = places.folder / "asterisk" / "emergency.conf"
    if not emergency.exists():
        raise InputError("is missing: --force writes all of it anew", file=emergency)
    text, more = _with_more(emergency, further)
    try:
        settings = config.load(file)
    except InputError as error:
        passwords = _passwords(*(_secret(places.folder / f"{name}.secret") for name in ("ari", "ami")))
        return Installation(places, passwords, (), _recordings(file), fault=str(error), emergency=text, more=more)
    at = settings.asterisk
    if (at.ari_user, at.ami_user) != (ACCOUNT, ACCOUNT):
        raise InputError(f"ari_user and ami_user: init's accounts are named {ACCOUNT}", file=file, field="asterisk")
    passwords = _passwords(config.secret(settings, "ari"), config.secret(settings, "ami"))
    found = Places(places.folder, settings.store.path.parent, places.root, at.ari_url, (at.ami_host, at.ami_port))
    return Installation(found, passwords, (), settings.recording.folder.path_here, settings, emergency=text, more=more)


def carry_out(made: Installation, plan: Plan, machine: Machine, *, apply: bool) -> list[Step]:
    """Write all of it or nothing, Asterisk's own files with `apply` only; what is left to do.

    Raises:
        SetupError: something cannot be written, and nothing has changed.
    """
    places, owners, program = made.places, machine.owners(), installed_program()
    units = files.unit_files(
        {
            "CALLGUARD": program, "CONFIG": str(places.folder / CONFIGURATION), "FOLDER": str(places.folder),
            "STATE": str(places.state), "RECORDINGS": str(made.recordings or files.RECORDINGS), "USER": machine.user,
            "DOCS": str(shipped("docs")),
        },
        places,
    )  # fmt: skip
    every = [*made.first, *made.more, *files.current_files(made.settings, made.passwords, places, owners), *units]
    if apply:
        every += [*_readable(made, owners), *patched(plan, machine.etc)]
    write_all(every, files.folders(places, owners, made.recordings if apply else None))
    made_for = owners.service is not None and places.state.is_dir()
    ready = made_for and (made.recordings is None or made.recordings.is_dir())
    return steps(
        Setting(
            again=machine.again, callguard=program, config=places.folder / CONFIGURATION, folder=places.folder,
            state=places.state, user=machine.user, applied=apply, changed=bool(plan.changed),
            has_user=owners.service is not None, ready=ready, freepbx=machine.freepbx,
            has_unit=any(file.path.name == "callguard.service" for file in units),
            open_texts=made.open_texts, fault=made.fault,
            master_key=next((file.path for file in made.first if file.path.name == MASTER_KEY), None),
            emergency=(*EVERYWHERE, *listed(made.emergency)),
            without_officer=_without_officer(made),
            missing=_missing(made.settings, Reader(machine.etc, places.root)),
        )
    )  # fmt: skip


def _with_more(file: Path, numbers: tuple[str, ...]) -> tuple[str, tuple[File, ...]]:
    try:
        before = file.read_bytes().decode("utf-8", "surrogateescape")
        after = with_more(before, numbers) if numbers else before
        return after, (File(file, _encoded(after), Owned.like(file)),) if after != before else ()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(str(error), file=file) from error


def _readable(made: Installation, owners: Owners) -> list[File]:
    """What is kept and was written before there was a user who runs callguard, made readable for that user."""
    if made.first or owners.service is None or not owners.is_root:
        return []
    found = []
    for name in (CONFIGURATION, "ari.secret", "ami.secret", MASTER_KEY):
        file = made.places.folder / name
        if file.is_file() and not _reads(owners.service, Owned.like(file)):
            found.append(File(file, file.read_bytes(), owners.key if name == MASTER_KEY else owners.secret))
    return found


def _reads(who: tuple[int, int], file: Owned) -> bool:
    user, group = who
    return bool((file.user == user and file.mode & 0o400) or (file.group == group and file.mode & 0o040))


def patched(plan: Plan, etc: Path) -> list[File]:
    """Asterisk's files as they are to be, and each as it was before callguard came."""
    found = []
    for file in plan.changed:
        if file.exists():
            owned = Owned.like(file)
            if MARK not in plan.before[file]:
                found.append(File(file.with_name(file.name + BACKUP), _encoded(plan.before[file]), owned))
        else:
            like = Owned.like(etc)
            owned = Owned(0o640, like.user, like.group)
        found.append(File(file, _encoded(plan.after[file]), owned))
    return found


def installed_program() -> str:
    """The program that an administrator, or systemd, starts."""
    beside = Path(sys.executable).with_name("callguard")
    return str(beside) if beside.exists() else shutil.which("callguard") or "callguard"


def _passwords(ari: str, ami: str) -> Passwords:
    # In Asterisk's files some characters begin a comment, or another line.
    for name, password in (("ari", ari), ("ami", ami)):
        if not re.fullmatch(r"[A-Za-z0-9_.~+/=-]{8,200}", password):
            problem = "8 characters or more are needed: letters, digits and _.~+/=-"
            raise InputError(problem, field=f"asterisk.{name}_secret")
    return Passwords(ari, ami)


def _secret(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error


def _recordings(file: Path) -> Path | None:
    """The recordings' folder of a configuration that is not complete."""
    try:
        named = tomllib.loads(file.read_text(encoding="utf-8"))["recording"]["folder"]["path_here"]
        return a_folder(str(named), "recording.folder.path_here")
    except (OSError, ValueError, LookupError, TypeError, InputError):
        return None


def _without_officer(made: Installation) -> bool:
    """Whether roles are in force and nobody is officer."""
    if made.settings is None:
        return made.without_officer
    roles = made.settings.roles
    return roles is not None and not (roles.officer.users or roles.officer.groups)


def _missing(settings: config.Config | None, reader: Reader) -> list[str]:
    """Globals that say where an objecting caller goes, and that nobody has set."""
    needed = (
        f"CALLGUARD_DIVERT_{name}"
        for name, profile in (settings.profiles.items() if settings else ())
        if any(purpose.required for purpose in profile.purposes)
    )
    there = {entry.name for entry in reader.entries("extensions.conf") if entry.section == "globals"}
    return [name for name in needed if name not in there]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
