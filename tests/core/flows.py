"""Flows for the core's tests: prompts that are only names and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from callguard.core.model import Basis, Before, Party, Prompt, Purpose
from callguard.core.profile import Change, Flow, compile_profile

QUALITY = Purpose("recording.quality", Basis.CONSENT)
TRAINING = Purpose("recording.training", Basis.CONSENT)
CONTRACT = Purpose("recording.contract", Basis.CONTRACT, required=True)
SECURITY = Purpose("recording.security", Basis.LEGITIMATE_INTERESTS)


def prompt(language: str, part: str, length_ms: int = 3_000, version: str = "1") -> Prompt:
    media = f"/prompts/{language}/p-{part}"
    return Prompt(f"p/{part}", language, version, media, length_ms, {"wav": "00", "wav16": "01"})


def flow(
    *purposes: Purpose,
    languages: tuple[str, ...] = ("en", "es"),
    agent_first: bool = False,
    gate_required: bool = False,
    versions: Mapping[str, str] = MappingProxyType({}),
    switch: bool = False,
    brief: bool = False,
    notices: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
) -> Flow:
    return compile_profile(
        "p",
        purposes,
        languages,
        lambda language, part: prompt(language, part, version=versions.get(language, "1")),
        lambda language: tuple(prompt(language, f"details-{n}") for n in ((1,) if switch else (1, 2))),
        200,
        switch=lambda language: prompt(language, "switch") if switch else None,
        agent_first=agent_first,
        gate_required=gate_required,
        versions=notices,
        changes=lambda language: tuple(Change(one, prompt(language, f"change-{one}")) for one in changed),
        brief_for=timedelta(days=365 if brief else 0),
    )


# Who has heard whole what `flow` says first, in English.
CONTINUES = (Before("1", "00", "call-before"),)


# Every kind of profile: consent, another basis required or not, two questions, and a mixture.
FLOWS = {
    "consent": flow(QUALITY),
    "required": flow(CONTRACT),
    "informed": flow(SECURITY),
    "two questions": flow(QUALITY, TRAINING, languages=("en",)),
    "mixture": flow(CONTRACT, QUALITY, languages=("en",)),
}

# They were said to the first version of the notice.
NO_TO_ALL = frozenset({(QUALITY.id, "1"), (TRAINING.id, "1")})
NO_TO_TRAINING = frozenset({(TRAINING.id, "1")})
# Whom the gate may have to do with, and the flows in which each makes a difference.
CALLS = {
    "consent, callee, gate required": (flow(QUALITY, languages=("en",), gate_required=True), Party(callee=True)),
    "consent, callee": (flow(QUALITY, languages=("en",)), Party(callee=True)),
    "required, callee": (flow(CONTRACT, languages=("en",)), Party(callee=True)),
    "consent, said no before": (flow(QUALITY, languages=("en",)), Party(refused=NO_TO_ALL)),
    "consent, begins in the second language, said no before to the first one's notice": (
        flow(QUALITY, versions={"es": "2"}, switch=True), Party(refused=NO_TO_ALL, language="es"),
    ),
    "consent, withheld number": (flow(QUALITY, languages=("en",)), Party(known=False)),
    **{f"{name}, caller": (one, Party()) for name, one in FLOWS.items()},
    "two questions, said no to one before": (FLOWS["two questions"], Party(refused=NO_TO_TRAINING)),
    "two questions, said no to both before": (FLOWS["two questions"], Party(refused=NO_TO_ALL)),
    "consent, continues": (flow(QUALITY, languages=("en",), brief=True), Party(knows="", heard=CONTINUES)),
    "consent, continues in one of two languages": (
        flow(QUALITY, brief=True, versions={"es": "2"}), Party(knows="", heard=CONTINUES),
    ),
    "informed, continues": (flow(SECURITY, languages=("en",), brief=True), Party(knows="", heard=CONTINUES)),
    "consent, changed since": (
        flow(QUALITY, languages=("en",), brief=True, notices=("1", "2", "3", "4"), changed=("2", "3")),
        Party(knows="1", heard=CONTINUES),
    ),
    "consent, agent first, changed since": (
        flow(QUALITY, languages=("en",), agent_first=True, notices=("1", "2", "3"), changed=("2", "3")),
        Party(callee=True, knows="1"),
    ),
    "required, changed since": (
        flow(CONTRACT, languages=("en",), notices=("2", "3"), changed=("3",)), Party(knows=""),
    ),
}  # fmt: skip
