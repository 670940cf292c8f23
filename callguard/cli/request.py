"""``callguard request``: what people ask for by right: received, identified, approved, done, and told in time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from callguard import config
from callguard.cli import subject, tables
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
from callguard.cli.stores import read, write
from callguard.core.requests import AT_ONCE, PENDING, Proof, Right, State, Step, Via, overdue
from callguard.errors import Denied, InputError

if TYPE_CHECKING:
    from callguard.rights.erasure import Outcome
    from callguard.store.right_records import Correction, StoredRequest
    from callguard.store.store import Store

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
ProofOption = Annotated[
    list[Proof] | None,
    typer.Option(
        "--proof",
        help="What kind of proof there is of who asks, never its content; may be repeated. To object or withdraw the "
        "number is enough; else they are called back, and know something or show a document.",
    ),
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

    async def take(store: Store) -> tuple[str, bool]:
        if right in AT_ONCE:
            done = await requests.at_once(store, for_whom, number, right, via, now, [Proof.NUMBER], reason=why)
            return done, True
        return await store.open_request(for_whom, number, right, via, at, reason=why, corrections=corrections)

    request_id, is_new = write(settings, take)
    one = read(settings, lambda reader: requests.find(reader, request_id))
    if print_json:
        typer.echo(json.dumps({**as_json(one, now), "new": is_new}, indent=2, ensure_ascii=False))
    elif one.state is State.DONE:
        typer.echo(f"{request_id}: {right}, done")
    else:
        was = "is" if is_new else "is pending already, and"
        typer.echo(f"{request_id}: {right} {was} due on {_day(one.due_at)}; next: callguard request identify")


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
        due = f"{_day(one.due_at)}{' OVERDUE' if overdue(one.state, one.due_at, now) else ''}"
        cells = (one.request_id, one.controller, one.right, one.via, one.state, _day(one.received_at))
        tables.add(table, *cells, due if one.state in PENDING else "")
    tables.show(table)


@app.command("show")
def show(request: RequestArgument, print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show a request: whose it is, what proof there is of who asks, and each step."""
    from callguard.rights import requests

    settings = config.load(path)
    which = _id(request)
    one, now = read(settings, lambda reader: requests.find(reader, which)), datetime.now(UTC)
    if print_json:
        typer.echo(json.dumps(as_json(one, now), indent=2, ensure_ascii=False))
        return
    late = ", OVERDUE" if overdue(one.state, one.due_at, now) else ""
    typer.echo(f"{one.right} for {one.controller}, by {one.via}: {one.state}{late}")
    typer.echo(f"Of {one.number or '(erased)'}, subject {one.subject_id}{f', call {one.call_id}' * bool(one.call_id)}")
    typer.echo(f"Received {_day(one.received_at)}, due {_day(one.due_at)}{' (extended)' * bool(one.extended_at)}")
    typer.echo(f"Proof of who asks: {', '.join(sorted(one.identity)) or 'none yet'}")
    for it in one.corrections:
        made = f"made {tables.moment(it.at)}" if it.at else "not made yet"
        typer.echo(
            f"Correction ({made}): {it.what}{f' on call {it.call_id}' * bool(it.call_id)}: {it.value or '(erased)'}"
        )
    for step in one.steps:
        typer.echo(f"{tables.moment(step.at)}  {step.step}{f': {step.reason}' * bool(step.reason)}")


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
        typer.echo("Identified; next: callguard request run --dry-run, then callguard request approve")


@app.command("approve")
def approve(request: RequestArgument, reason: ReasonOption = None, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Approve a request of somebody who is identified; from then on it may be run."""
    _move(path, request, Step.APPROVE, reason)
    typer.echo("Approved; next: callguard request run")


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
        show_plan(planned, print_json=print_json)
        return
    requests.allow(one, Step.RUN)
    if one.right in requests.HANDED_OUT:
        if file is None:
            raise InputError("is needed: where the file is to be made that the person gets", field="--output")
        if one.number is None:
            raise Denied("the person is erased: there is nothing left to hand out")
        subject.hand_out(
            settings, one.controller, one.number, file, with_audio=with_audio, force=force, print_json=print_json
        )
        write(settings, lambda store: store.move_request(request_id, Step.RUN, datetime.now(UTC)))
        return
    if one.right is Right.ERASURE and not yes:
        typer.confirm("What is erased cannot be had back. Erase this person?", abort=True, err=True)
    done = write(settings, lambda store: requests.run(store, settings, one, now))
    if not isinstance(done, int):
        _show_erased(done, print_json=print_json)
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


def as_json(one: StoredRequest, now: datetime, *, with_number: bool = True) -> dict[str, Any]:
    """A request as JSON names it."""
    return {
        "request": one.request_id,
        "controller": one.controller,
        "subject": one.subject_id,
        **({"number": one.number} if with_number else {}),
        "right": one.right,
        "via": one.via,
        "call": one.call_id,
        "state": one.state,
        "identity": sorted(one.identity),
        "received_at": one.received_at.isoformat(),
        "due_at": one.due_at.isoformat(),
        "overdue": overdue(one.state, one.due_at, now),
        "extended_at": one.extended_at and one.extended_at.isoformat(),
        "ended_at": one.ended_at and one.ended_at.isoformat(),
        "steps": [{"step": it.step, "at": it.at.isoformat(), "reason": it.reason} for it in one.steps],
        "corrections": [
            {"what": it.what, "value": it.value, "call": it.call_id, "at": it.at and it.at.isoformat()}
            for it in one.corrections
        ],
    }


def _move(path: Path, request: str, step: Step, reason: str | None, proofs: Sequence[Proof] = ()) -> State:
    from callguard.rights import requests

    settings = config.load(path)
    which, why, now = _id(request), None if reason is None else words(reason), datetime.now(UTC)

    async def move(store: Store) -> State:
        one = await requests.find(store, which)
        requests.allow(one, step)
        since = one.received_at if step is Step.EXTEND else None
        return await store.move_request(which, step, now, reason=why, proofs=proofs, received_at=since)

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


def show_plan(planned: dict[str, Any], *, print_json: bool) -> None:
    """Say what would be done."""
    if print_json:
        typer.echo(json.dumps(planned, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{planned['right']}: nothing is done yet; it would be")
    for name, value in planned.items():
        if name in ("request", "right", "beyond"):
            continue
        typer.echo(f"  {name.replace('_', ' ')}: {len(value) if isinstance(value, list) else value}")
    _show_beyond(planned.get("beyond", ()))


def _show_erased(done: Outcome, *, print_json: bool) -> None:
    if print_json:
        typer.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False))
        return
    removed = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in done.erased.removed.items() if count)
    typer.echo(f"Erased: {removed or 'nothing was left'}")
    typer.echo(f"Opt-outs that stay with the number alone: {done.erased.kept_opt_outs + done.erased.suppressed}")
    if done.plan.proof is not None:
        typer.echo(f"Proof of consent stays, locked, until {_day(done.plan.proof.until)}: {done.plan.proof.why}")
    for calls, said in (
        (done.erased.held, "held, and destroyed when the hold ends"),
        (done.plan.set_aside, "set aside: look into the folder quarantine, and remove it by hand"),
        (done.left, "in another folder: the callguard that has it destroys it within a minute"),
    ):
        for call in calls:
            typer.echo(f"Recording of {call} is {said}")
    if not done.erased.overwritten:
        typer.echo("The store's log holds some of it until others write: run it again, or restart callguard.")
    _show_beyond([one.as_json() for one in done.plan.beyond])
    typer.echo("\nTell the person:\n" + "\n".join(f"  {line}" for line in done.told))


def _show_beyond(places: Sequence[dict[str, Any]]) -> None:
    for one in places:
        typer.echo(f"\nNot callguard's to erase: {one['what']} ({one['do']})")
        if one["statement"]:
            typer.echo(f"  {one['statement']}")
        for name, value in one["parameters"].items():
            typer.echo(f"    {name} = {value}")


def _id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError as error:
        raise InputError("is no id of a request: 32 hexadecimal digits in five groups", field="REQUEST") from error


def _day(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d}"
