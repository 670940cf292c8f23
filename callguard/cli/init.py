"""``callguard init``: a first configuration, the Asterisk files that go with it, and what is left to do."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from callguard import actors, config
from callguard.errors import InputError
from callguard.numbers import REGIONS
from callguard.setup import answers, files, patch
from callguard.setup.answers import Answers
from callguard.setup.conf import Reader
from callguard.setup.emergency import EVERYWHERE, digits_of, of_region
from callguard.setup.install import Machine, carry_out, installed_program, kept, new, patched
from callguard.setup.steps import RELOADS, written
from callguard.setup.toml import Places
from callguard.setup.trunks import found_trunks, some_trunks
from callguard.setup.write import write_all

T = TypeVar("T")
FREEPBX = Path("/etc/freepbx.conf")
FOLDER, STATE, USER = Path("/etc/callguard"), Path("/var/lib/callguard"), "callguard"
BY_HAND = (
    "systemctl disable --now callguard",
    "rm -f /etc/systemd/system/callguard.service /etc/systemd/system/asterisk.service.d/callguard.conf",
    "systemctl daemon-reload",
)
FolderOption = Annotated[
    Path, typer.Option(readable=False, help="Where configuration, secrets and Asterisk's included files go.")
]


def init(
    controller: Annotated[str | None, typer.Option(help="In whose name calls are taken, as callers hear it.")] = None,
    numbers: Annotated[
        str | None, typer.Option(metavar="NUMBER,…", help="Your own numbers, international, such as +34912345678.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="XX,…", help="Countries whose emergency numbers pass; national numbers are the first's."),
    ] = None,
    outside_prefix: Annotated[
        str | None, typer.Option(metavar="DIGITS,…", help="What is dialled for an outside line; empty for nothing.")
    ] = None,
    emergency: Annotated[
        str | None, typer.Option(metavar="NUMBER,…", help="Further numbers that are never touched, such as 061,091.")
    ] = None,
    trunks: Annotated[
        str | None,
        typer.Option(
            metavar="CHANNEL,…",
            help="Your trunks, such as PJSIP/trunk: what is originated straight to one is hung up. By default those "
            "that pjsip.conf shows; empty for none.",
        ),
    ] = None,
    recordings: Annotated[str | None, typer.Option(metavar="DIR", help="Where recordings are kept.")] = None,
    languages: Annotated[
        str | None, typer.Option(metavar="xx,…", help="What the notice is spoken in, the first at the beginning.")
    ] = None,
    marketing: Annotated[
        bool | None, typer.Option("--marketing/--no-marketing", help="A profile for marketing calls to people, too.")
    ] = None,
    officer: Annotated[
        str | None,
        typer.Option(
            metavar="USER,…",
            help="Who reads, hands out and erases what is kept of people: users of this machine, none of whom sets "
            "callguard up. Who runs this is administrator.",
        ),
    ] = None,
    say: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=TEXT",
            help="What the notice says of the controller, such as --say 'address=1 Main Street' or, for one "
            "language, --say 'retention.es=noventa días'. What is left out is left to be written in the file.",
        ),
    ] = None,
    folder: FolderOption = FOLDER,
    state: Annotated[
        Path, typer.Option(metavar="DIR", readable=False, help="Where the store and the prompts go.")
    ] = STATE,
    asterisk_folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Asterisk's configuration; /etc/asterisk by default.")
    ] = None,
    root: Annotated[
        Path, typer.Option(metavar="DIR", help="What Asterisk sees as /, where it runs in a chroot.")
    ] = Path("/"),
    user: Annotated[str, typer.Option(help="The user that callguard runs as.")] = USER,
    freepbx: Annotated[
        bool | None,
        typer.Option("--freepbx/--no-freepbx", help="Use the files that FreePBX leaves alone; found out by default."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Change Asterisk's own files, as the diff shows.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin anew; the old configuration is kept beside.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take callguard's lines out of Asterisk's files.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take defaults.")] = False,
) -> None:
    """Write a first configuration and Asterisk's files for it, and show what to do next.

    Where there is one, it is kept, and dialplan and accounts are brought up to date. Asterisk's own files are changed
    with --apply only; the diff is shown either way.
    """
    folder, state, root = folder.absolute(), state.absolute(), root.absolute()
    etc = (asterisk_folder or root / "etc/asterisk").absolute()
    if not etc.is_dir():
        problem = "there is no such folder: install Asterisk first, or say where it is"
        raise InputError(problem, file=etc, field="--asterisk-folder")
    answered = {
        "--controller": controller, "--numbers": numbers, "--region": region, "--outside-prefix": outside_prefix,
        "--trunks": trunks, "--recordings": recordings, "--languages": languages, "--marketing": marketing,
        "--officer": officer, "--say": say,
    }  # fmt: skip
    if remove:
        for name, given_too in {**answered, "--emergency": emergency, "--force": force or None}.items():
            if given_too is not None:
                raise InputError("does not go with --remove", field=name)
        _remove(etc, root, folder, user, apply=apply)
        return
    for each, name in ((folder, "--folder"), (state, "--state")):
        answers.a_folder(str(each), name)
        if each.is_dir() and not os.access(each, os.R_OK | os.X_OK):
            raise InputError("cannot be looked into: run this as root", file=each, field=name)
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        raise InputError("a user's name is needed", field="--user")
    in_freepbx = (FREEPBX.exists() and etc == Path("/etc/asterisk")) if freepbx is None else freepbx
    places = Places(folder, state, root)
    plan = patch.put_in(etc, places.in_asterisk(folder, "--folder") / "asterisk", root=root, freepbx=in_freepbx)
    words: dict[str, Path | str] = {
        "--folder": folder,
        "--state": state,
        "--root": root,
        "--asterisk-folder": etc,
        "--user": user,
    }
    machine = Machine(etc, user, in_freepbx, _command(words, freepbx))
    if apply:
        machine.must_have_user(state, is_root=os.geteuid() == 0)
    if keep := (folder / files.CONFIGURATION).exists() and not force:
        made = kept(places, digits_of(emergency or "", "--emergency"))
        if unused := [name for name, given in answered.items() if given is not None]:
            _note(f"{folder / files.CONFIGURATION} is kept as it is, without {', '.join(unused)}; --force begins anew")
    else:
        given = _asked(
            controller, numbers, region, outside_prefix, emergency, trunks, recordings, languages, marketing, officer,
            say or [], _administrators(state, user),
            proposed=", ".join(found_trunks(Reader(etc, root))), asking=sys.stdin.isatty() and not yes,
        )  # fmt: skip
        made = new(given, Places(folder, state, root, plan.ari_url, plan.ami), machine)
    left = carry_out(made, plan, machine, apply=apply)
    typer.echo(f"{'Brought up to date' if keep else 'Written'}: {folder}")
    if keep:
        more = " (with further numbers)" if made.more else ""
        typer.echo(f"Kept: {files.CONFIGURATION}, secrets, asterisk/emergency.conf{more}.")
    _show(plan, apply=apply)
    for note in plan.notes:
        _note(note)
    typer.echo(f"\nWhat to do next, as root:\n\n{written(left)}")


def _asked(
    controller: str | None,
    numbers: str | None,
    region: str | None,
    outside_prefix: str | None,
    emergency: str | None,
    trunks: str | None,
    recordings: str | None,
    languages: str | None,
    marketing: bool | None,
    officer: str | None,
    say: list[str],
    administrators: tuple[str, ...],
    *,
    proposed: str,
    asking: bool,
) -> Answers:
    """The answers: from options, from whoever sits there, or by default.

    Args:
        administrators: who is one from now on.
        proposed: the trunks that Asterisk's files show.

    Raises:
        InputError: one that is needed is missing or bad, and nobody is asked.
    """
    name = _ask(controller, "In whose name are calls taken", None, answers.a_controller, "--controller", asking)
    ours = _ask(numbers, "Your own numbers, such as +34912345678", "", answers.some_numbers, "--numbers", asking)
    regions = _ask(
        region,
        "Country (two letters)",
        answers.region_of(ours) or _here(),
        answers.some_regions,
        "--region",
        asking,
    )
    prefixes = _ask(
        outside_prefix, "What is dialled for an outside line (nothing: Enter)", "",
        lambda text: digits_of(text, "--outside-prefix"), "--outside-prefix", asking,
    )  # fmt: skip
    known = ", ".join(dict.fromkeys([*EVERYWHERE, *(number for each in regions for number in of_region(each))]))
    further = _ask(
        emergency, f"Further emergency numbers, beside {known} (nothing: Enter)", "",
        lambda text: digits_of(text, "--emergency"), "--emergency", asking,
    )  # fmt: skip
    ways_out = _ask(
        trunks, "Your trunks, such as PJSIP/trunk (none: Enter)" if not proposed else "Your trunks", proposed,
        some_trunks, "--trunks", asking,
    )  # fmt: skip
    spool = _ask(
        recordings, "Folder for recordings", str(files.RECORDINGS),
        lambda text: answers.a_folder(text, "--recordings"), "--recordings", asking,
    )  # fmt: skip
    spoken = _ask(
        languages, f"Languages, of {', '.join(answers.shipped_languages())}", answers.SPOKEN_IN.get(regions[0], "en"),
        answers.some_languages, "--languages", asking,
    )  # fmt: skip
    if marketing is None:
        marketing = asking and typer.confirm("Do you call people for marketing", default=False)
    officers = _ask(
        officer, "Data protection officer's user on this machine (nobody yet: Enter)", "",
        lambda text: answers.some_officers(text, administrators), "--officer", asking,
    )  # fmt: skip
    return Answers(
        controller=name, regions=regions, languages=spoken, recordings=spool, numbers=ours, prefixes=prefixes,
        emergency=further, trunks=ways_out, marketing=marketing, administrators=administrators, officers=officers,
        texts=answers.some_texts(say, spoken),
    )  # fmt: skip


def _administrators(state: Path, user: str) -> tuple[str, ...]:
    """Who sets callguard up: root, and whoever uses root's account now."""
    try:
        shared = [pwd.getpwnam(user).pw_uid]
    except KeyError:
        shared = []
    return tuple(dict.fromkeys(("root", actors.name_of(actors.person(state / "callguard.db", *shared)))))


def _ask(
    text: str | None, question: str, default: str | None, check: Callable[[str], T], field: str, asking: bool
) -> T:
    while True:
        if text is None and asking:
            text = typer.prompt(question, default=default, show_default=bool(default))
        elif text is None:
            text = default
        if text is None:
            raise InputError("is needed", field=field)
        try:
            return check(text)
        except InputError as error:
            if not asking:
                raise
            _note(str(error))
            text = None


def _here() -> str | None:
    """The country of who sits here, where callguard knows it."""
    # Not locale.getlocale(), for which C is American English.
    named = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    region = named.partition(".")[0].partition("_")[2]
    return region if region in REGIONS else None


def _remove(etc: Path, root: Path, folder: Path, user: str, *, apply: bool) -> None:
    plan = patch.take_out(etc, root)
    if apply:
        write_all(patched(plan, etc))
    _show(plan, apply=apply)
    if not apply:
        if plan.changed:
            typer.echo("\nNothing is changed without --apply.")
        return
    typer.echo("\nWhat to do next, as root, when your own dialplan names callguard no more:\n")
    typer.echo("\n".join(f"asterisk -rx {shlex.quote(each)}" for each in RELOADS))
    typer.echo("\n".join(BY_HAND))
    typer.echo(
        f"\nTo be removed by hand, when nobody needs them: the user {user} (userdel), the program (/opt/callguard) and "
        "its link /usr/local/bin/callguard."
    )
    try:
        settings = config.load(folder / files.CONFIGURATION)
    except InputError:
        typer.echo(f"\nLeft alone: {folder}, recordings, store and prompts.")
        return
    places = (settings.recording.folder.path_here, settings.store.path, settings.prompts.folder.path_here)
    typer.echo(f"\nLeft alone: {', '.join(map(str, (folder, *places)))}.")


def _show(plan: patch.Plan, *, apply: bool) -> None:
    if not plan.changed:
        typer.echo("Asterisk's own files need no change.")
        return
    typer.echo(f"Asterisk's own files {'are changed' if apply else 'would be changed, with --apply,'} like this:\n")
    typer.echo(plan.diff(), nl=False)


def _command(words: dict[str, Path | str], freepbx: bool | None) -> str:
    """How this `init` is called to change Asterisk's files."""
    usual = {"--folder": FOLDER, "--state": STATE, "--root": Path("/"), "--user": USER}
    usual["--asterisk-folder"] = Path(words["--root"]) / "etc/asterisk"
    said = [word for name, value in words.items() if value != usual[name] for word in (name, str(value))]
    chosen = [] if freepbx is None else ["--freepbx" if freepbx else "--no-freepbx"]
    return shlex.join([installed_program(), "init", *said, *chosen, "--apply"])


def _note(text: str) -> None:
    typer.echo(f"callguard: {text}", err=True)
