"""What `init` writes into its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callguard.config import Config
from callguard.setup.answers import Answers
from callguard.setup.emergency import extensions, of_region
from callguard.setup.toml import Places
from callguard.setup.write import File, Owned
from callguard.shipped import render, shipped

CONFIGURATION = "callguard.toml"
MASTER_KEY = "master.key"
RECORDINGS = Path("/var/spool/callguard")
PUBLIC, FOLDER = 0o644, 0o755
# Store and prompts: others may pass through to the prompts.
STATE = 0o751
# Recordings: for Asterisk's user, who makes them, and callguard's group; what is made there has that group.
SHARED = 0o2770
MANY = 3

ENTRY = """\
; What extensions.conf includes. `callguard init` writes it anew each time.
#include "{folder}/callguard.conf"
#include "{folder}/emergency.conf"
"""
EMERGENCY = """\
; Calls to these numbers, and to 112 and 911, are never touched: an x and the number as it is dialled. They are those
; that libphonenumber knows for {countries}{given}. No country's list
; is sure to be complete: add what is missing, here or with `callguard init --emergency`, which keeps what stands here.
[callguard-emergency](+)
"""
EXAMPLE = """\
; Nothing includes this file: it shows what to put into your own dialplan.

; Who calls in: the gate stands before Queue or Dial, and b() tells the agent's phone.
[callguard-example-in]
{inbound}
; Who is called: a denied number is not dialled, and U() asks the person before the agent is put through.
[callguard-example-out]
exten => _{prefix}X.,1,Gosub(callguard-outbound,s,1({dialled},{profile}))
 same => n,GotoIf($["${{CALLGUARD_DIAL}}" = "deny"]?denied)
 same => n,Dial(PJSIP/{dialled}@trunk,60,U(callguard-callee^{profile}))
 same => n(denied),Hangup(21)
"""
INBOUND = """\
exten => {number},1,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/100,30,b(callguard-agent^s^1))
 same => n,Hangup()
"""
UMASK = """\
# What Asterisk creates is for its user and group, not for everyone.
[Service]
UMask=0007
"""


@dataclass(frozen=True, slots=True)
class Passwords:
    """For ARI and for the manager interface."""

    ari: str = field(repr=False)
    ami: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Owners:
    """Who is who on this machine, as numbers.

    Attributes:
        asterisk: user and group of Asterisk's folder.
        service: user and group that callguard runs as; None before there is such a user.
        is_root: whether files may be given away.
    """

    asterisk: tuple[int, int]
    service: tuple[int, int] | None
    is_root: bool

    @property
    def secret(self) -> Owned:
        """For callguard's eyes, who may not write there."""
        if self.service is None or not self.is_root:
            return Owned(0o600)
        return Owned(0o640, 0, self.service[1])

    @property
    def key(self) -> Owned:
        """For callguard's eyes alone."""
        if self.service is None or not self.is_root:
            return Owned(0o600)
        return Owned(0o600, *self.service)

    @property
    def included(self) -> Owned:
        """For Asterisk's eyes."""
        return Owned(0o640, 0 if self.is_root else None, self.asterisk[1])


def first_files(answers: Answers, toml: str, passwords: Passwords, places: Places, owners: Owners) -> list[File]:
    """What is kept by every later `init`."""
    return [
        File(places.folder / CONFIGURATION, toml.encode(), owners.secret),
        File(places.folder / "ari.secret", f"{passwords.ari}\n".encode(), owners.secret),
        File(places.folder / "ami.secret", f"{passwords.ami}\n".encode(), owners.secret),
        emergency_file(answers, places),
        File(places.folder / "asterisk" / "example.conf", _example(answers).encode(), Owned(PUBLIC)),
    ]


def emergency_file(answers: Answers, places: Places) -> File:
    numbers = [*answers.emergency, *(number for region in answers.regions for number in of_region(region))]
    lines = [f"exten => {each},1,NoOp()\n" for each in extensions(numbers, answers.prefixes)]
    given = f", and {', '.join(answers.emergency)}, given with --emergency" if answers.emergency else ""
    text = EMERGENCY.format(countries=", ".join(answers.regions), given=given) + "".join(lines)
    return File(places.folder / "asterisk" / "emergency.conf", text.encode(), Owned(PUBLIC))


def current_files(config: Config | None, passwords: Passwords, places: Places, owners: Owners) -> list[File]:
    """What every `init` writes anew: dialplan, features and accounts of this callguard.

    Args:
        config: the configuration that is kept, where it is complete.
    """
    folder = places.folder / "asterisk"
    host = places.ami[0].strip("[]")
    values = {
        "ARI_SECRET": passwords.ari, "AMI_SECRET": passwords.ami,
        "AMI_PERMIT": f"{host}/128" if ":" in host else f"{host}/255.255.255.255",
    }  # fmt: skip
    entry = ENTRY.format(folder=places.in_asterisk(folder, "--folder"))
    required = [name for name, profile in config.profiles.items() if profile.gate_required] if config else []
    if required:
        entry += "\n[globals]\n" + "".join(f"CALLGUARD_REQUIRED_{name} = yes\n" for name in required)
    files = [
        File(folder / name, (shipped("dialplan") / name).read_bytes(), Owned(PUBLIC))
        for name in ("callguard.conf", "callguard-features.conf")
    ]
    files.append(File(folder / "extensions.conf", entry.encode(), Owned(PUBLIC)))
    for name in ("ari", "manager"):
        text = render((shipped("dialplan") / f"callguard-{name}.conf").read_text(encoding="utf-8"), values)
        files.append(File(folder / f"{name}.conf", text.encode(), owners.included))
    files.append(File(places.folder / "systemd" / "asterisk-umask.conf", UMASK.encode(), Owned(PUBLIC)))
    return files


def unit_files(values: Mapping[str, str], places: Places) -> list[File]:
    """What systemd needs to run callguard."""
    folder = shipped("systemd")
    return [
        File(
            places.folder / "systemd" / file.name,
            render(file.read_text(encoding="utf-8"), values).encode(),
            Owned(PUBLIC),
        )
        for file in sorted(folder.iterdir() if folder.is_dir() else ())
    ]


def folders(places: Places, owners: Owners, recordings: Path | None) -> list[tuple[Path, Owned]]:
    """The folders of those files, and with `recordings` those that callguard works in."""
    owned = Owned(FOLDER)
    made = [(places.folder, owned), (places.folder / "asterisk", owned), (places.folder / "systemd", owned)]
    if recordings is not None and owners.service is not None and owners.is_root:
        made += [
            (places.state, Owned(STATE, *owners.service)),
            (recordings, Owned(SHARED, owners.asterisk[0], owners.service[1])),
        ]
    return made


def _example(answers: Answers) -> str:
    # As trunks mostly send them: the whole number, without a plus.
    numbers = [number.removeprefix("+") for number in answers.numbers] or ["100"]
    prefix = answers.prefixes[0] if answers.prefixes else ""
    return EXAMPLE.format(
        inbound="".join(INBOUND.format(number=number) for number in numbers[:MANY]),
        prefix=prefix,
        dialled=f"${{EXTEN:{len(prefix)}}}" if prefix else "${EXTEN}",
        profile="sales" if answers.marketing else "service",
    )
