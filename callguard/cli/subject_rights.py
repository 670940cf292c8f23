"""``callguard subject erase`` and ``rectify``: a request that is opened, identified, approved and run in one command.

It is the same path as `callguard request`, with the same evidence, and none beside it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from callguard import config
from callguard.cli import request as requests_
from callguard.cli.access import reads, whoever
from callguard.cli.kept import words
from callguard.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    ControllerOption,
    JsonOption,
    NumberArgument,
    ProofOption,
    RegionOption,
    a_number,
    enough,
    one_of,
    region_for,
)
from callguard.cli.request import (
    CallOption,
    DryRunOption,
    NameOption,
    NoteOption,
    ReasonOption,
    ViaOption,
    YesOption,
)
from callguard.cli.request_shown import show_plan
from callguard.cli.stores import read, write
from callguard.core.access import Read
from callguard.core.requests import Proof, Right, State, Step, Via
from callguard.errors import InputError
from callguard.store.right_records import Correction


def erase(
    given: NumberArgument,
    proof: ProofOption = None,
    via: ViaOption = Via.COMMAND,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    controller: ControllerOption = None,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Erase a person for good (GDPR Art. 17): opens a request and runs it. They are not called for marketing again."""
    settings = config.load(path)
    for_whom, number = _who(settings, given, controller, region)
    if dry_run:
        _plan(settings, for_whom, number, print_json=print_json)
        return
    _known(settings, for_whom, number)
    enough(Right.ERASURE, proof)
    if not yes:
        typer.confirm("What is erased cannot be had back. Erase this person?", abort=True, err=True)
    which = _approved(settings, for_whom, number, Right.ERASURE, via, proof or [], reason, ())
    requests_.carry_out(settings, which, yes=True, print_json=print_json)


def rectify(
    given: NumberArgument,
    proof: ProofOption = None,
    name: NameOption = None,
    note: NoteOption = None,
    call: CallOption = None,
    via: ViaOption = Via.COMMAND,
    reason: ReasonOption = None,
    controller: ControllerOption = None,
    region: RegionOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put right what is wrong about a person (GDPR Art. 16): opens a request and runs it. What was wrong stays."""
    settings = config.load(path)
    for_whom, number = _who(settings, given, controller, region)
    corrections = requests_.corrections_of(Right.RECTIFICATION, name, note, call)
    _known(settings, for_whom, number)
    enough(Right.RECTIFICATION, proof)
    which = _approved(settings, for_whom, number, Right.RECTIFICATION, via, proof or [], reason, corrections)
    requests_.carry_out(settings, which, print_json=print_json)


def _who(settings: config.Config, given: list[str], controller: str | None, region: str | None) -> tuple[str, str]:
    for_whom = one_of(settings.controllers, controller, "--controller")
    return for_whom, a_number(given, region_for(settings, region))


def _known(settings: config.Config, controller: str, number: str) -> str:
    """The person's id. Raises: InputError, where nothing is known of the number."""
    found = read(settings, lambda reader: reader.subjects(controller, number))
    if not found:
        raise InputError(f"nothing is known of this number by {controller}", field="NUMBER")
    return found[0].subject_id


def _plan(settings: config.Config, controller: str, number: str, *, print_json: bool) -> None:
    from callguard.rights import requests

    who, now = _known(settings, controller, number), datetime.now(UTC)
    planned = read(settings, lambda reader: requests.plan_erasure(reader, settings, who, now))
    reads(settings, "subject erase", requests_.ACCESS, Read(number, controller=controller))
    show_plan({"right": Right.ERASURE, **planned}, print_json=print_json)


def _approved(
    settings: config.Config,
    controller: str,
    number: str,
    right: Right,
    via: Via,
    proofs: list[Proof],
    reason: str | None,
    corrections: tuple[Correction, ...],
) -> str:
    """A request that may be run: a new one, or the one that is pending."""
    from callguard.rights import requests
    from callguard.store.store import Store

    now, why, actor = datetime.now(UTC), None if reason is None else words(reason), whoever(settings)

    async def approve(store: Store) -> str:
        which, _ = await store.open_request(
            controller, number, right, via, now, reason=why, corrections=corrections, actor=actor
        )
        one = await requests.find(store, which)
        if one.state is State.OPEN:
            await store.move_request(which, Step.IDENTIFY, now, proofs=proofs, actor=actor)
        if one.state is not State.APPROVED:
            await store.move_request(which, Step.APPROVE, now, actor=actor)
        return which

    return write(settings, approve)
