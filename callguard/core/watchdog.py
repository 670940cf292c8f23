"""Whose a recorder on a channel is: ours, another gate's, one that is exempt, or somebody else's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

# Where `callguard doctor` tries a recording, of nobody.
TRYING = "callguard-doctor"
SIDES = ("-in", "-out")


class Whose(StrEnum):
    """Who has started a recorder."""

    OURS = "ours"
    OTHER_GATE = "other gate's"
    EXEMPT = "exempt"
    EMERGENCY = "emergency"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Recorder:
    """A recorder that has begun on a channel, and what the channel says of it.

    Attributes:
        name: the channel's, such as ``PJSIP/trunk-0000002a``.
        context: the dialplan context that the channel was in.
        file: as Asterisk names it; of a channel's last recorder only, and empty where it writes each side apart.
        has_id: whether a recorder of the gate's kind was started on the channel, now or before.
        leg: the leg that the gate's dialplan has put on the channel, empty for none.
        app: the application of the gate that answered for it.
        emergency: whether the call is one to an emergency number.
    """

    name: str
    context: str
    file: str
    has_id: bool = False
    leg: str = ""
    app: str = ""
    emergency: bool = False


def whose(recorder: Recorder, *, expected: bool, app: str, exempt: Iterable[str]) -> Whose:
    """Who has started it.

    Args:
        expected: whether a start of ours is due on this channel that has not been seen yet.
        app: our application.
        exempt: patterns (as the shell's) of channel names and dialplan contexts that may record.
    """
    if recorder.context == TRYING:
        return Whose.OURS
    of_leg = recorder.has_id and is_of(recorder.file, recorder.leg)
    if expected and of_leg:
        return Whose.OURS
    # A reload marks an application's name: callguard--1.
    gate = recorder.app.partition("--")[0]
    if gate and gate != app and of_leg:
        return Whose.OTHER_GATE
    if any(fnmatchcase(recorder.name, pattern) or fnmatchcase(recorder.context, pattern) for pattern in exempt):
        return Whose.EXEMPT
    return Whose.EMERGENCY if recorder.emergency else Whose.FOREIGN


def is_of(file: str, leg: str) -> bool:
    """Whether a file is a recording of this leg: LEG.wav, a later part LEG.N.wav, or one whose sides are apart."""
    return bool(leg) and (not file or leg_in(file) == leg)


def leg_in(file: str) -> str:
    """What a recording's file is named after, its side and its part left out."""
    stem = file.rpartition("/")[2].partition(".")[0]
    for side in SIDES:
        stem = stem.removesuffix(side)
    return stem
