"""Who runs a command, by what the kernel says. Nothing that a person types or sets decides it.

A person's own account is that person. root's account and callguard's are shared: who uses one of them (by ``sudo``,
``su``, ``runuser``) is the owner of the nearest process above this one that is of neither. Where there is none, as
under a timer or after a login as root, it is the account itself.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from callguard.access_sections import Roles
from callguard.core.roles import Actor, Role, effective

ROOT = 0
_PROC = Path("/proc")


def who(roles: Roles | None, store: Path) -> Actor:
    """Who runs this process.

    Args:
        store: the store's file: whose it is, or its folder, has callguard's own account.
    """
    uid = person(store)
    name = name_of(uid)
    if roles is None:
        return Actor(name, None)
    found = effective(roles.of(name, groups_of(name)))
    # root's account is no service's, but where the store is root's.
    return Actor(name, found | {Role.SERVICE} if uid in owners(store) else found)


def person(store: Path, *shared: int) -> int:
    """Who runs this process, as a user's number.

    Args:
        shared: further accounts that are nobody's own.
    """
    uid, accounts = os.getuid(), {ROOT, *owners(store), *shared}
    return behind(accounts) if uid in accounts else uid


def may_be_anybodys(configuration: Path, store: Path) -> bool:
    """Whether a configuration may be one of whoever acts through a shared account: it would give them any role."""
    uid = os.getuid()
    if uid not in {ROOT, *owners(store)}:
        return False
    try:
        found = configuration.stat()
    except OSError:
        return True
    return found.st_uid not in {ROOT, uid} or bool(found.st_mode & stat.S_IWOTH)


def owners(store: Path) -> set[int]:
    """The users whom the store and its folder belong to, as far as they are there."""
    found = set()
    for path in (store, store.parent):
        try:
            found.add(path.stat().st_uid)
        except OSError:
            continue
    return found


def behind(accounts: set[int], above: Callable[[], Iterator[int]] | None = None) -> int:
    """The owner of the nearest process above that is none of these accounts; this process's where there is none."""
    return next((uid for uid in (above or _above)() if uid not in accounts), os.getuid())


def _above() -> Iterator[int]:
    """The real users of the processes above this one, the nearest first."""
    process = os.getppid()
    while process:
        try:
            status = (_PROC / str(process) / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended, or other users' processes are hidden (hidepid)
            return
        said = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        yield int(said["Uid"].split()[0])
        process = int(said["PPid"])


def name_of(uid: int) -> str:
    """A user's name; the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def groups_of(name: str) -> frozenset[str]:
    """The groups of a user, as they are for a new login."""
    try:
        ids = os.getgrouplist(name, pwd.getpwnam(name).pw_gid)
    except KeyError:
        return frozenset()
    found = set()
    for one in ids:
        try:
            found.add(grp.getgrgid(one).gr_name)
        except KeyError:
            continue
    return frozenset(found)


def unknown(roles: Roles) -> tuple[str, ...]:
    """The users and groups that have a role, and that this machine does not know."""
    users = {name for one in roles.members for name in one.users}
    groups = {name for one in roles.members for name in one.groups}
    return (*sorted(filter(_is_no_user, users)), *sorted(filter(_is_no_group, groups)))


def _is_no_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return True
    return False


def _is_no_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return True
    return False
