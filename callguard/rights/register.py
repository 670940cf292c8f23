"""What the configuration tells an officer or an authority: the register of processing, and who else gets data.

GDPR Art. 30(1) for the register, Art. 19 for recipients. Nothing is assumed: what nobody has said is told as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from callguard.config import Config
from callguard.rights.receipts import NOT_SAID
from callguard.sections import Profile

if TYPE_CHECKING:
    from callguard.store.records import LegDetail

# What the store has beside recordings, of whom it has it, and why it is there.
KEPT = (
    ("phone numbers, and names where given", "callers and people called", "to know them again; apart from all else"),
    ("answers to each purpose, with the notice that was heard", "callers and people called", "proof of consent"),
    ("withdrawals, objections and opt-outs", "who said so", "to keep to them, and to prove it"),
    ("grants given beside calls, with a reference to their proof", "who gave them", "to call only who may be called"),
    ("decisions whether to call, with the rules and lists seen", "people to be called", "to answer complaints"),
    ("agents' own grants", "agents whose side is recorded", "a basis for the agent's side"),
)
NOTICE = (
    "Under Art. 19 GDPR we tell you that personal data of the call {call} have been rectified, erased or restricted. "
    "Where you hold them (files by their SHA-256 here), do the same, and tell us that it is done."
)


def processing(config: Config, only: str | None = None) -> list[dict[str, Any]]:
    """The register of processing, one entry for each controller, or for one of them."""
    return [_controller(config, name) for name in sorted(config.controllers) if only in (None, name)]


def recipients(config: Config, call: str, legs: Sequence[LegDetail]) -> list[dict[str, Any]]:
    """Who has to be told when a call's data are rectified, erased or restricted, one entry for each controller.

    Of whom the call was with nothing is said.
    """
    told = []
    for name in sorted({one.leg.controller for one in legs}):
        kept = [one.recording for one in legs if one.recording is not None and one.leg.controller == name]
        known = name in config.controllers
        told.append(
            {
                "call": call,
                "controller": name,
                "recipients": _says(config, name, "recipients") if known else NOT_SAID,
                "processors": _processors(config, name),
                "recordings": [
                    {
                        "state": one.state,
                        "reason": one.reason,
                        "files": [{"name": it.name, "sha256": it.sha256} for it in one.files],
                    }
                    for one in kept
                ],
                "notice": NOTICE.format(call=call),
            }
        )
    return told


def contact(config: Config, name: str) -> dict[str, str]:
    """Who answers for a controller: the contact point of Art. 33(3)(b)."""
    if name not in config.controllers:
        return {"name": name, "address": NOT_SAID, "contact": NOT_SAID, "officer": NOT_SAID}
    fields = ("address", "contact", "officer")
    return {"name": config.controllers[name].name, **{field: _says(config, name, field) for field in fields}}


def _measures(config: Config) -> dict[str, list[str]]:
    """Security as the house declares it, and as this configuration has it (Art. 30(1)(g), 32)."""
    foreign = {
        "stop": "recordings that callguard did not begin are stopped and set aside",
        "report": "recordings that callguard did not begin are reported, and go on",
        "off": "recordings that callguard did not begin are not looked for",
    }[config.watchdog.foreign]
    after = config.recording.destroy_withdrawn_after_s
    agreed = sorted(name for name, one in config.profiles.items() if one.agents == "agreement")
    return {
        "declared": list(config.processing.security) or [NOT_SAID],
        "by_configuration": [
            "a recording begins only when its basis is on disk; a failure leaves the call unrecorded",
            "numbers and names stand apart; all else, file names and logs have random ids",
            "evidence is append-only",
            foreign,
            f"what is withdrawn, and rests on consent alone, is destroyed {f'{after} s later' if after else 'at once'}",
            f"recordings pause on hold: {'yes' if config.recording.pause_on_hold else 'no'}",
            f"agents' own basis is asked for in: {', '.join(agreed) or 'no profile'}",
            f"health and figures, without personal data, are served at: {_served(config)}",
        ],
    }


def _controller(config: Config, name: str) -> dict[str, Any]:
    profiles = {key: one for key, one in sorted(config.profiles.items()) if one.controller == name}
    return {
        "controller": {"id": name, **contact(config, name)},
        "recordings": [it for key, one in profiles.items() for it in _purposes(config, name, key, one)],
        "calls_to_people": [
            {
                "profile": key,
                "calls": one.calls,
                "purpose": one.purpose_of_calls or NOT_SAID,
                "basis": "only those who granted it, or for whom another basis stands" if one.basis else NOT_SAID,
                "numbers_are_from": _says(config, name, "number_source"),
            }
            for key, one in profiles.items()
            if one.calls_people
        ],
        "kept_beside_recordings": [
            {"data": data, "people": people, "why": why, "basis": NOT_SAID, "kept": NOT_SAID}
            for data, people, why in KEPT
        ],
        "recipients": _says(config, name, "recipients"),
        "processors": _processors(config, name),
        "transfers": _says(config, name, "transfers"),
        "automated_decisions": _says(config, name, "automated"),
        "storage": [f"{one.what} ({one.country})" for one in config.processing.storage] or [NOT_SAID],
        "authority": _says(config, name, "authority"),
        "security": _measures(config),
    }


def _purposes(config: Config, name: str, key: str, profile: Profile) -> Iterable[dict[str, Any]]:
    language = profile.languages[0]
    for one in profile.purposes:
        asked = f"{'people called' if profile.calls_people else 'callers'}, and the agents who speak with them"
        yield {
            "profile": key,
            "purpose": one.id,
            "basis": one.basis.value,
            "people": asked,
            "data": "voice, phone number, time, what was answered",
            "who_says_no": "is diverted, unrecorded" if one.required else "is served the same, unrecorded",
            "erased_after": config.controllers[name].retention_of(one.id, language) or NOT_SAID,
        }


def _processors(config: Config, name: str) -> list[dict[str, str]]:
    return [
        {"name": one.name, "task": one.task or NOT_SAID, "country": one.country or NOT_SAID, "contract": one.contract}
        for _, one in sorted(config.processors.items())
        if name in one.controllers
    ]


def _says(config: Config, name: str, field: str) -> str:
    """A controller's text, in the first language of its profiles, or in whichever it is given in."""
    languages = [one.languages[0] for one in config.profiles.values() if one.controller == name]
    given = getattr(config.controllers[name], field)
    if isinstance(given, dict):
        return str(next((given[language] for language in languages if language in given), next(iter(given.values()))))
    return given or NOT_SAID


def _served(config: Config) -> str:
    return "nowhere" if config.http.port is None else f"{config.http.host}:{config.http.port}"
