"""Flows for the core's tests: prompts that are only names and lengths."""

from __future__ import annotations

from callguard.core.model import Basis, Prompt, Purpose
from callguard.core.profile import Flow, compile_profile

QUALITY = Purpose("recording.quality", Basis.CONSENT)
TRAINING = Purpose("recording.training", Basis.CONSENT)
CONTRACT = Purpose("recording.contract", Basis.CONTRACT, required=True)
SECURITY = Purpose("recording.security", Basis.LEGITIMATE_INTERESTS)


def prompt(language: str, part: str, length_ms: int = 3_000) -> Prompt:
    return Prompt(f"p/{part}", language, "1", f"/prompts/{language}/p-{part}", length_ms, {"wav": "00", "wav16": "01"})


def flow(*purposes: Purpose, languages: tuple[str, ...] = ("en", "es")) -> Flow:
    return compile_profile(
        "p",
        purposes,
        languages,
        prompt,
        lambda language: (prompt(language, "details-1"), prompt(language, "details-2")),
        200,
    )


# Every kind of profile: consent, another basis required or not, two questions, and a mixture.
FLOWS = {
    "consent": flow(QUALITY),
    "required": flow(CONTRACT),
    "informed": flow(SECURITY),
    "two questions": flow(QUALITY, TRAINING),
    "mixture": flow(CONTRACT, QUALITY, languages=("en",)),
}
