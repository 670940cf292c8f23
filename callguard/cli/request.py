"""``callguard request``: what people ask for by right: received, identified, approved, done, and told in time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from callguard import config, logs
from callguard.cli import subject, tables
from callguard.cli.access import may_read, reads, whoever
from callguard.cli.kept import call_id, words
from callguard.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    OnlyControllerOption,
    RegionOption,
    a_number,
    moment,
    one_of,
    region_for,
)
from callguard.cli.request_shown import as_json, day, show_erased, show_plan
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.requests import AT_ONCE, PENDING, Proof, Right, State, Step, Via, overdue
from callguard.errors import Denied, InputError

if TYPE_CHECKING:
    from callguard.store.right_records import Correction
    from callguard.store.store import Store

# What a request is read for.
ACCESS = "access_request"

RequestArgument = Annotated[
    str, typer.Argument(metavar="REQUEST", help="The request's id, as `request list` has it.", show_default=False)
]
ReasonOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="In your own words; evidence has their hash. They are erased with the person."),
]
NeededReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, as the person is told; evidence has its hash.")
]
ViaOption = Annotated[Via, typer.Option("--via", help="How it was received.")]
NameOption = Annotated[str | None, typer.Option("--name", metavar="TEXT", help="The person's right name.")]
NoteOption = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="What is wrong, and what is right; it stands beside it.")
]
CallOption = Annotated[str | None, typer.Option("--call", metavar="CALL", help="The call that the note is about.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask once more.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
FileOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="For access and portability: the ZIP file to make."),
]
AudioOption = Annotated[bool, typer.Option("--with-audio", help="With the recordings in which nobody else had a part.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]

app = typer.Typer(help="What people ask for by right, until it is answered.", no_args_is_help=True)


@app.command("open")
def open_(
    given: NumberArgument,
    right: Annotated[Right, typer.Option("--right", help="What is asked for.")],
    via: ViaOption = Via.COMMAND,
    received: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it was received; now by default. The month begins then.")
    ] = None,
    name: NameOption = None,
    note: NoteOption = None,
    call: CallOption = None,
    reason: ReasonOption = None,
    controller: ControllerOption = None,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Receive a request. An objection and a withdrawal are done at once; all else waits for identification.

    Where one like it is pending that one is named, and no second one opened.
    """
    from callguard.rights import requests

    settings = config.load(path)
    for_whom = one_of(settings.controllers, controller, "--controller")
    number = a_number(given, region_for(settings, region))
    now = datetime.now(UTC)
    at = now if received is None else moment(received, "--received").astimezone(UTC)
    if at > now:
        raise InputError("is in the future", field="--received")
    why = None if reason is None else words(reason)
    corrections = corrections_of(right, name, note, call)
    actor = whoever(settings)

    async def take(store: Store) -> tuple[str, bool]:
        if right in AT_ONCE:
            done = await requests.at_once(
                store, for_whom, number, right, via, now, [Proof.NUMBER], reason=why, actor=actor
            )
            return done, True
        return await store.open_request(
            for_whom, number, right, via, at, reason=why, corrections=corrections, actor=actor
        )

    request_id, is_new = write(settings, take)
    one = read(settings, lambda reader: requests.find(reader, request_id))
    if print_json:
        typer.echo(json.dumps({**as_json(one, now), "new": is_new}, indent=2, ensure_ascii=False))
    elif one.state is State.DONE:
        typer.echo(f"{request_id}: {right}, done")
    else:
        was = "is" if is_new else "is pending already, and"
        typer.echo(
            f"{request_id}: {right} {was} due on {day(one.due_at)}; next: callguard request identify {request_id}"
        )


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those too that are over.")] = False,
    controller: OnlyControllerOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """List what is pending: what is overdue first, then what is due next. No number is shown."""
    settings = config.load(path)
    for_whom = None if controller is None else one_of(settings.controllers, controller, "--controller")
    found, now = read(settings, lambda reader: reader.requests(for_whom, pending=not every)), datetime.now(UTC)
    if print_json:
        typer.echo(json.dumps([as_json(one, now, with_number=False) for one in found], indent=2))
        return
    table = tables.table("Request", "Controller", "Right", "By", "State", "Received", "Due", ids="Request")
    for one in found:
        due = f"{day(one.due_at)}{' OVERDUE' if overdue(one.state, one.due_at, now) else ''}"
        cells = (one.request_id, one.controller, one.right, one.via, one.state, day(one.received_at))
        tables.add(table, *cells, due if one.state in PENDING else "")
    tables.show(table)


@app.command("show")
def show(request: RequestArgument, print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show a request: whose it is, what proof there is of who asks, and each step."""
    from callguard.rights import requests

    settings = config.load(path)
    which = _id(request)
    one, now = read(settings, lambda reader: requests.find(reader, which)), datetime.now(UTC)
    if one.number is not None:
        reads(settings, "request show", ACCESS, Read(one.number, controller=one.controller))
    if print_json:
        typer.echo(json.dumps(as_json(one, now), indent=2, ensure_ascii=False))
        return
    late = ", OVERDUE" if overdue(one.state, one.due_at, now) else ""
    typer.echo(f"{one.right} for {one.controller}, by {one.via}: {one.state}{late}")
    typer.echo(f"Of {one.number or '(erased)'}, subject {one.subject_id}{f', call {one.call_id}' * bool(one.call_id)}")
    typer.echo(f"Received {day(one.received_at)}, due {day(one.due_at)}{' (extended)' * bool(one.extended_at)}")
    typer.echo(f"Proof of who asks: {', '.join(sorted(one.identity)) or 'none yet'}")
    for it in one.corrections:
        made = f"made {tables.moment(it.at)}" if it.at else "not made yet"
        typer.echo(
            f"Correction ({made}): {it.what}{f' on call {it.call_id}' * bool(it.call_id)}: {it.value or '(erased)'}"
        )
    for step in one.steps:
        by_whom = f", by {step.who}" if step.who else ""
        typer.echo(f"{tables.moment(step.at)}  {step.step}{by_whom}{f': {step.reason}' * bool(step.reason)}")


@app.command("identify")
def identify(
    request: RequestArgument,
    proof: Annotated[list[Proof], typer.Option("--proof", help="What kind of proof there is; may be repeated.")],
    reason: ReasonOption = None,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say what proof there is of who asks: its kind alone. It takes call_back, and known or document."""
    state = _move(path, request, Step.IDENTIFY, reason, proofs=proof)
    if state is State.OPEN:
        typer.echo("Noted. It is not enough yet: it takes call_back, and known or document.")
    else:
        typer.echo(
            f"Identified; next: callguard request run {request} --dry-run, then callguard request approve {request}"
        )


@app.command("approve")
def approve(request: RequestArgument, reason: ReasonOption = None, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Approve a request of somebody who is identified; from then on it may be run."""
    _move(path, request, Step.APPROVE, reason)
    typer.echo(f"Approved; next: callguard request run {request}")


@app.command("refuse")
def refuse(
    request: RequestArgument,
    reason: NeededReasonOption,
    unidentified: Annotated[
        bool, typer.Option("--unidentified", help="Who asked did not show who they are, though asked (Art. 12(6)).")
    ] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Refuse a request; the person is told why, and where they may complain (Art. 12(4))."""
    state = _move(path, request, Step.EXPIRE if unidentified else Step.REFUSE, reason)
    typer.echo(f"It is {state}. Tell the person why, and that they may complain to the authority or go to court.")


@app.command("extend")
def extend(request: RequestArgument, reason: NeededReasonOption, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Extend the deadline by two months, once (Art. 12(3)); the person is told so, and why, within the first."""
    _move(path, request, Step.EXTEND, reason)
    typer.echo("Extended by two months. Tell the person so, and why, before the first month is over.")


@app.command("run")
def run(
    request: RequestArgument,
    dry_run: DryRunOption = False,
    file: FileOption = None,
    with_audio: AudioOption = False,
    force: ForceOption = False,
    yes: YesOption = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Do what was asked for and approved; broken off, it is simply run again. Exit code 3: not now, and why."""
    settings = config.load(path)
    carry_out(
        settings, _id(request), dry_run=dry_run, file=file, with_audio=with_audio, force=force, yes=yes,
        print_json=print_json,
    )  # fmt: skip


def carry_out(
    settings: config.Config,
    request_id: str,
    *,
    dry_run: bool = False,
    file: Path | None = None,
    with_audio: bool = False,
    force: bool = False,
    yes: bool = False,
    print_json: bool = False,
) -> None:
    """Run a request, or say what would come of it.

    Raises: Denied, InputError, SetupError, StoreError.
    """
    from callguard.rights import requests

    now = datetime.now(UTC)
    one = read(settings, lambda reader: requests.find(reader, request_id))
    if dry_run:
        planned = read(settings, lambda reader: requests.plan(reader, settings, one, now))
        if one.number is not None:
            reads(settings, "request run", ACCESS, Read(one.number, controller=one.controller))
        show_plan(planned, print_json=print_json)
        return
    requests.allow(one, Step.RUN)
    if one.right in requests.HANDED_OUT:
        if file is None:
            raise InputError("is needed: where the file is to be made that the person gets", field="--output")
        if one.number is None:
            raise Denied("the person is erased: there is nothing left to hand out")
        actor = may_read(settings, "request run", ACCESS)
        subject.hand_out(
            settings, one.controller, one.number, file, actor, ACCESS,
            with_audio=with_audio, force=force, print_json=print_json,
        )  # fmt: skip
        write(settings, lambda store: store.move_request(request_id, Step.RUN, datetime.now(UTC), actor=actor))
        return
    if one.right is Right.ERASURE and not yes:
        typer.confirm("What is erased cannot be had back. Erase this person?", abort=True, err=True)
    logs.configure(settings.log.format, "warning")
    actor = whoever(settings)
    done = write(settings, lambda store: requests.run(store, settings, one, now, actor))
    if not isinstance(done, int):
        show_erased(done, print_json=print_json)
    elif print_json:
        typer.echo(json.dumps({"request": request_id, "right": one.right, "done": done}, indent=2))
    else:
        typer.echo(f"Done: {_COUNTED[one.right].format(done)}")


_COUNTED = {
    Right.RECTIFICATION: "{} corrections made; what they correct stays beside them",
    Right.RESTRICTION: "{} recordings are held, and are neither played nor exported",
    Right.OBJECTION: "{} opt-outs added",
    Right.WITHDRAWAL: "{} consents ended",
}


def _move(path: Path, request: str, step: Step, reason: str | None, proofs: Sequence[Proof] = ()) -> State:
    from callguard.rights import requests

    settings = config.load(path)
    which, why, now = _id(request), None if reason is None else words(reason), datetime.now(UTC)
    actor = whoever(settings)

    async def move(store: Store) -> State:
        one = await requests.find(store, which)
        requests.allow(one, step)
        since = one.received_at if step is Step.EXTEND else None
        return await store.move_request(which, step, now, reason=why, proofs=proofs, received_at=since, actor=actor)

    return write(settings, move)


def corrections_of(right: Right, name: str | None, note: str | None, call: str | None) -> tuple[Correction, ...]:
    """What a rectification says. Raises: InputError."""
    from callguard.cli.csv_lines import check_text
    from callguard.store.right_records import Correction

    if right is not Right.RECTIFICATION:
        if name is not None or note is not None or call is not None:
            raise InputError("go with --right rectification", field="--name, --note and --call")
        return ()
    for text, field in ((name, "--name"), (note, "--note")):
        if text is not None:
            check_text(text, field)
            if not text.strip():
                raise InputError("is empty", field=field)
    if call is not None and note is None:
        raise InputError("goes with --note", field="--call")
    made: list[Correction] = []
    if name is not None:
        made.append(Correction("name", name))
    if note is not None:
        made.append(Correction("note", note, None if call is None else call_id(call)))
    if not made:
        raise InputError("say what is right: --name, or --note", field="--right")
    return tuple(made)


def _id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        raise InputError("is no id of a request: 32 hexadecimal digits in five groups", field="REQUEST") from error
