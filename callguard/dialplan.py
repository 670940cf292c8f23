"""What the dialplan has to know beforehand, told in Asterisk's globals."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import structlog

from callguard.core.conversation import keys_for
from callguard.core.profile import Aside, Changes, Flow, Inform, Question
from callguard.current import Current
from callguard.telephony.ari import Client
from callguard.telephony.ari_door import first_lease_ms

log = structlog.get_logger()


class Dialplan:
    """Tells it.

    Attributes:
        alone: whether ours is the only gate on this PBX, as far as was seen when it was told last.
    """

    def __init__(self, current: Current) -> None:
        self._current = current
        self._least_s: dict[str, float] = {}
        self.alone = True

    async def tell(self, client: Client) -> None:
        """Everything; again and again, as a reload of Asterisk's may clear it. Raises: Refused, Disconnected."""
        config, flows = self._current.config, self._current.flows
        app, told_as = client.app, f"{client.app}{self._current.told_as}"
        told = {
            f"CALLGUARD_FOLDER_{told_as}": str(config.recording.folder.in_asterisk),
            f"CALLGUARD_FILES_{told_as}": config.recording.files,
            f"CALLGUARD_PROMPTS_{told_as}": str(config.prompts.folder.in_asterisk),
            "CALLGUARD_MANAGER": config.asterisk.ami_user,
        }
        if config.asterisk.agi_port is not None:
            told["CALLGUARD_AGI_HOST"] = config.asterisk.agi_host
            told["CALLGUARD_AGI_PORT"] = str(config.asterisk.agi_port)
        self.alone = await client.applications.others() == []
        for name, flow in flows.items():
            lease = f"CALLGUARD_LEASE_{name}"
            first_s = max(first_lease_ms(flow) / 1000, self._least_s.get(name, 0.0))
            # Who will claim a call is not known when its first lease begins: it lasts for the longer notice.
            told[lease] = f"{first_s if self.alone else max(first_s, await self._lease_s(client, name)):.1f}"
            settings = config.profiles[name]
            said = f"{config.prompts.folder.in_asterisk}/{flow.languages[0]}/{name}"
            told |= {
                f"CALLGUARD_DENIED_{name}": f"{said}-denied",
                f"CALLGUARD_GOODBYE_{name}": f"{said}-goodbye",
                f"CALLGUARD_FAREWELL_{name}": f"{said}-{Aside.FAREWELL}",
                f"CALLGUARD_REQUIRED_{name}": "yes" if settings.gate_required else "no",
                f"CALLGUARD_WHISPER_{name}": f"{said}-whisper" if settings.whisper else "",
                f"CALLGUARD_AGENT_FIRST_{name}": "yes" if settings.agent_first else "no",
                f"CALLGUARD_PURPOSES_{told_as}_{name}": ",".join(purpose.id for purpose in flow.purposes),
                f"CALLGUARD_KEYS_{told_as}_{name}": keys_for(flow.purposes),
                f"CALLGUARD_NOTICE_{told_as}_{name}": "/".join(_notice(flow, language) for language in flow.languages),
            }
            told |= {
                f"CALLGUARD_CHANGES_{told_as}_{name}_{n}": "-".join(changed)
                for n, language in enumerate(flow.languages)
                if (changed := _changes(flow, language))
            }
        # All at once: of answers that come one by one each would wait for its turn to be read.
        await asyncio.gather(*(client.asterisk.set_global(variable, value) for variable, value in told.items()))
        log.debug("dialplan told", app=app, settings=len(told))

    async def lengthen_leases(self, client: Client, flows: Mapping[str, Flow]) -> bool:
        """Have new calls begin with a lease that is long enough for what is in force and for what will be.

        Returns: whether any had to be longer than it was. Raises: Refused, Disconnected.
        """
        self._least_s = {name: first_lease_ms(flow) / 1000 for name, flow in flows.items()}
        longer = [
            name
            for name, flow in self._current.flows.items()
            if self._least_s.get(name, 0.0) > first_lease_ms(flow) / 1000
        ]
        for name in longer:
            await client.asterisk.set_global(f"CALLGUARD_LEASE_{name}", f"{self._least_s[name]:.1f}")
        return bool(longer)

    async def warn_of_no_diversion(self, client: Client) -> None:
        """Say where an administrator has still to name a place for who objects. Raises: Disconnected."""
        for name, flow in self._current.flows.items():
            variable = f"CALLGUARD_DIVERT_{name}"
            if flow.may_not_go_unrecorded and not await client.asterisk.get_global(variable):
                log.error(
                    "who objects has nowhere to go and reaches the agent: set it in [globals] of extensions.conf",
                    missing=variable,
                )

    async def _lease_s(self, client: Client, name: str) -> float:
        text = await client.asterisk.get_global(f"CALLGUARD_LEASE_{name}")
        return float(text) if re.fullmatch(r"\d{1,4}(\.\d)?", text) else 0.0


def _changes(flow: Flow, language: str) -> list[str]:
    """The sounds of what has changed in the notice, by hash, the oldest first."""
    told = (step.changes for step in flow.steps[language] if isinstance(step, Changes))
    return [change.prompt.sha256["wav"] for changes in told for change in changes]


def _notice(flow: Flow, language: str) -> str:
    """A language and the sounds of its short layer, by hash: an Asterisk without callguard can play it again."""
    asked = [step.prompt for step in flow.steps[language] if isinstance(step, Inform | Question)]
    return "-".join((language, *(prompt.sha256["wav"] for prompt in (flow.essential(language), *asked))))
