"""The door by FastAGI: the same Asks, one command at a time.

There is no lease here: while a command runs, no time limit frees the call, and a watchdog has to end a hung callguard.
AGI does not tell when a key went down, which AMI does, and keeps none that comes between two commands, which StoreDTMF
does.
"""

from __future__ import annotations

import asyncio

import structlog

from callguard.core import gate
from callguard.core.commands import Ask
from callguard.core.events import Answered, Cause, Lost
from callguard.core.keys import BETWEEN_KEYS_MS, Keypad
from callguard.core.model import Heard, Prompt
from callguard.errors import Refused
from callguard.telephony.agi import Call, Hangup
from callguard.telephony.ami import PRESSED
from callguard.telephony.holds import Holds
from callguard.telephony.withdrawal import KEPT_KEYS

log = structlog.get_logger()

GIVING = gate.ALL_KEYS - gate.PROTECTING
ALL_DIGITS = "0123456789*#"
# Keys that come to nothing stop a prompt here, and it begins again; so often.
MAX_REPLAYS = 3


class AgiDoor:
    """One channel in AGI().

    Args:
        profile, direction: told to the dialplan with the answer, in case that nobody has told it before.

    Attributes:
        left: the dialplan has the answer, and goes on with it.
    """

    def __init__(self, call: Call, app: str, profile: str, direction: str, holds: Holds) -> None:
        self.app = app
        self._holds = holds
        self._call = call
        self._place = (profile, direction)
        self._seen = 0
        self._arrived = asyncio.get_running_loop().time()
        self.first_sound_ms: int | None = None
        self.left = False

    async def open(self) -> None:
        await self._call.answer()
        try:
            await self._call.exec("StoreDTMF", "RX", PRESSED, str(KEPT_KEYS))
            await self._call.set_variable("CG_LISTENS", "yes")
        except Refused:
            log.warning("keys between two prompts are lost: load app_dtmfstore", channel=self._call.uniqueid)

    async def ask(self, ask: Ask) -> Answered | Lost:
        listening = _Listening(self._call, ask, self._holds)
        if self.first_sound_ms is None:  # Asterisk begins to play with the command
            self.first_sound_ms = round((asyncio.get_running_loop().time() - self._arrived) * 1000)
        try:
            answer = await listening.run()
            if answer.cause is Cause.KEY:
                self._seen = len(await self._pressed())
        except Hangup:
            return listening.answered(Cause.HANGUP)
        return answer

    def expired(self) -> bool:
        return False

    async def refused_meanwhile(self) -> bool:
        keypad = Keypad(gate.REFUSING, gate.REFUSING)
        if any(keypad.press(digit, 0) for digit in (await self._pressed())[self._seen :]):
            return True
        return bool(keypad.pressed)

    async def quiet(self) -> None:
        """A command of another process ended with it."""

    async def leave(self, answer: str) -> None:
        await self._call.gosub("callguard-agi", "s", 1, answer, *self._place)
        self.left = True

    async def _pressed(self) -> str:
        return await self._call.get_variable(PRESSED)


class _Listening:
    """One Ask under way."""

    def __init__(self, call: Call, ask: Ask, holds: Holds) -> None:
        self._call = call
        self._holds = holds
        self._ask = ask
        self._keypad = Keypad(ask.keys, gate.PROTECTING)
        self._stops = ALL_DIGITS if ask.digits else "".join(sorted({digit for keys in ask.keys for digit in keys}))
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._heard: list[Heard] = []
        self._typed = ""

    async def run(self) -> Answered:
        for prompt in self._ask.prompts:
            cause = await self._play(prompt)
            if cause is not None:
                return self.answered(cause)
        ends = self._now() + self._ask.wait_ms / 1000
        while (left_ms := round((ends - self._now()) * 1000)) > 0:
            digit = await self._call.wait_for_digit(left_ms)
            if digit is not None and await self._press(digit):
                return self.answered(Cause.KEY)
        return self.answered(Cause.KEY if self._typed else Cause.SILENCE)

    def answered(self, cause: Cause) -> Answered:
        keys = (self._typed or self._keypad.pressed) if cause is Cause.KEY else ""
        began_ms = self._keypad.first_down - round(self._began * 1000)
        return Answered(cause, keys, began_ms, tuple(self._heard), self._keypad.dropped)

    async def _play(self, prompt: Prompt) -> Cause | None:
        for _ in range(MAX_REPLAYS):
            played = await self._call.stream(prompt.media, self._stops, prompt.length_ms)
            if played.key is None and not played.end_ms:
                log.error("a prompt could not be played: may Asterisk read it?", prompt=prompt.id)
                return Cause.FAILED
            self._heard.append(Heard(prompt, min(played.end_ms, prompt.length_ms)))
            if played.key is None:
                return None
            if await self._press(played.key):
                return Cause.KEY
            if self._typed:
                return None  # the rest of the number comes without the prompt
        return Cause.SILENCE

    async def _press(self, digit: str) -> bool:
        """Take one key in, and at once those that belong to it; true when what is wanted is complete."""
        while True:
            if self._ask.digits:
                if digit.isdigit():
                    self._typed += digit
                elif digit == "*":
                    self._typed = ""
                return not digit.isdigit() or len(self._typed) == self._ask.digits
            up = round(self._now() * 1000)
            # Only of a yes it matters when it went down.
            held_ms = await self._holds.held_ms(self._call.uniqueid, digit) if digit in GIVING else 0
            if self._keypad.press(digit, up, held_ms):
                return True
            if not self._keypad.pressed:
                return False
            following = await self._call.wait_for_digit(BETWEEN_KEYS_MS)
            if following is None:
                return False
            digit = following
