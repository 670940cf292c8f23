"""What is left for the administrator to do, in order, as commands that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RELOADS = (
    "module reload http",
    "module reload res_ari.so",
    "manager reload",
    "module reload features",
    "dialplan reload",
)


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do: why, and the commands, if there are any."""

    why: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """What the steps depend on.

    Attributes:
        again: this very `init` with ``--apply``.
        callguard: the program.
        config: the configuration's file.
        folder: where `init` writes.
        state: store and prompts.
        user: callguard's own.
        applied: whether Asterisk's files are changed now, where they had to be.
        ready: whether that user, and the folders that it works in, are there.
        open_texts: what is still to be written in the configuration.
        fault: what is wrong with the configuration that is kept.
        missing: globals that a profile needs and nobody has set.
        emergency: the numbers that pass, as dialled.
        master_key: where a new one is.
        without_officer: nobody may read, hand out and erase what is kept of people yet.
    """

    again: str
    callguard: str
    config: Path
    folder: Path
    state: Path
    user: str
    applied: bool
    changed: bool
    has_user: bool
    ready: bool
    has_unit: bool
    freepbx: bool
    open_texts: Sequence[str] = ()
    fault: str = ""
    missing: Sequence[str] = ()
    emergency: Sequence[str] = ()
    master_key: Path | None = None
    without_officer: bool = False


def useradd(user: str, state: Path) -> str:
    """The command that makes callguard's user."""
    return f"useradd --system --user-group --home-dir {state} --shell /usr/sbin/nologin {user}"


def steps(now: Setting) -> list[Step]:
    """What is left to do."""
    found = []
    user, config = now.user, shlex.quote(str(now.config))
    if not now.has_user:
        found.append(
            Step(
                "callguard runs as a user of its own.",
                (useradd(user, now.state),),
            )
        )
    if not now.ready or (now.changed and not now.applied):
        found.append(
            Step(
                "Make these changes to Asterisk's files; the folders for recordings, store and prompts are made, and "
                f"{user} may read its configuration.",
                (now.again,),
            )
        )
    add = now.again.removesuffix(" --apply")
    found.append(
        Step(
            f"Look at {now.folder}/asterisk/emergency.conf. These pass: {', '.join(now.emergency)}. A number that is "
            f"missing, such as the police's or an ambulance's: `{add} --emergency NUMBER,…` adds it."
        )
    )
    if now.master_key is not None:
        found.append(
            Step(
                f"Keep a copy of {now.master_key} apart from this machine and from its backups: recordings are "
                "encrypted by it, and without it nobody reads them any more."
            )
        )
    reloads = ("fwconsole reload",) if now.freepbx else tuple(f"asterisk -rx {shlex.quote(each)}" for each in RELOADS)
    found.append(Step("Asterisk reads its files again; calls go on.", reloads))
    unit = shlex.quote(str(now.folder / "systemd" / "asterisk-umask.conf"))
    found.append(
        Step(
            "When Asterisk is started next, its recordings are for its group and not for everyone.",
            (
                f"install -D -m 644 {unit} /etc/systemd/system/asterisk.service.d/callguard.conf",
                "systemctl daemon-reload",
            ),
        )
    )
    if now.open_texts:
        found.append(Step(f"Write in {now.config} what the notice says of you: {', '.join(now.open_texts)}."))
    if now.fault:
        found.append(Step(f"Mend {now.fault}."))
    if now.without_officer:
        found.append(
            Step(
                f"Name in {now.config} who may read, hand out and erase what is kept of people: officer, below "
                "[roles]. Whoever sets callguard up may not."
            )
        )
    for name in now.missing:
        found.append(
            Step(f"Say in [globals] of extensions.conf where an objecting caller goes: {name} = context,extension,1")
        )
    found.append(Step("Speak the prompts.", (f"runuser -u {user} -- {now.callguard} prompts build --config {config}",)))
    if now.has_unit:
        service = shlex.quote(str(now.folder / "systemd" / "callguard.service"))
        found.append(
            Step(
                "callguard serves, now and whenever the machine starts.",
                (
                    f"install -m 644 {service} /etc/systemd/system/callguard.service",
                    "systemctl daemon-reload",
                    "systemctl enable --now callguard",
                ),
            )
        )
    else:
        found.append(Step("callguard serves.", (f"runuser -u {user} -- {now.callguard} run --config {config}",)))
    found.append(Step(f"Put the gate into your dialplan: {now.folder}/asterisk/example.conf shows where."))
    found.append(Step("See whether all is well.", (f"runuser -u {user} -- {now.callguard} doctor --config {config}",)))
    return found


def written(steps: Sequence[Step]) -> str:
    """The steps as text: what begins with # is for reading, the rest for a shell."""
    lines = []
    for number, step in enumerate(steps, 1):
        lines += [f"# {number}. {step.why}", *step.commands]
    return "\n".join(lines)
