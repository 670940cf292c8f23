"""callguard itself on a private Asterisk, as a process of its own: to be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from callguard import config
from callguard.demo.pbx import Pbx
from callguard.errors import SetupError
from callguard.keys import master
from callguard.sections import Folder
from callguard.speech.build import build
from callguard.store import Store

READY_LIMIT_S = 20.0
STOP_LIMIT_S = 40.0
READY = "serving"

CONFIGURATION = """\
[asterisk]
ari_url = "{ari_url}"
app = "{app}"
ari_secret_file = "{here}/ari.secret"
{agi}
ami_port = {ami_port}
ami_secret_file = "{here}/ami.secret"

{http}

[recording]
files = "{files}"
destroy_withdrawn_after_s = {destroy_after}

[recording.folder]
path_here = "{recordings.path_here}"
path_in_asterisk = "{recordings.path_in_asterisk}"

[prompts]
{texts}
[prompts.folder]
path_here = "{prompts.path_here}"
path_in_asterisk = "{prompts.path_in_asterisk}"

# There is none here; tests have one of this name.
[paths]
trunks = ["PJSIP/trunk-*"]

{law}

[store]
path = "{here}/callguard.db"

[controllers.acme]
name = "Acme Energy"
address = "1 Main Street, Springfield"
contact = "privacy at acme dot example"
recipients = {{ en = "nobody", es = "nadie" }}
transfers = {{ en = "none", es = "ninguna" }}
retention = {{ en = "ninety days", es = "noventa días" }}
authority = "Agencia Española de Protección de Datos"
automated = {{ en = "none", es = "no hay" }}
number_source = {{ en = "your contract with us", es = "su contrato con nosotros" }}
more_at = "acme dot example slash privacy"

[retention.acme]
"recording.quality" = {{ days = 90 }}
"recording.analysis" = {{ days = 90 }}
"recording.contract" = {{ days = 2190, from = "contract_end" }}

[profiles.service]
controller = "acme"
languages = ["en", "es"]
region = "ES"
language_by_number_called = {{ "+34910000061" = "es" }}
language_by_country = {{ MX = "es" }}
whisper = true
answer_wait_s = {answer_wait}
[[profiles.service.purposes]]
id = "recording.quality"
basis = "consent"

[profiles.contract]
controller = "acme"
languages = ["en", "es"]
answer_wait_s = {answer_wait}
[[profiles.contract.purposes]]
id = "recording.contract"
basis = "contract"
required = true

[profiles.choice]
controller = "acme"
languages = ["en"]
region = "ES"
answer_wait_s = {answer_wait}
[[profiles.choice.purposes]]
id = "recording.quality"
basis = "consent"
[[profiles.choice.purposes]]
id = "recording.analysis"
basis = "consent"

[profiles.sales]
controller = "acme"
languages = ["en"]
region = "ES"
calls = "marketing"
caller_ids = ["{shown[0]}", "{shown[1]}"]
answer_wait_s = {answer_wait}
[[profiles.sales.purposes]]
id = "recording.quality"
basis = "consent"

[profiles.advice]
controller = "acme"
languages = ["en"]
region = "ES"
gate_required = true
answer_wait_s = {answer_wait}
[[profiles.advice.purposes]]
id = "recording.quality"
basis = "consent"
"""


def configuration(
    pbx: Pbx,
    here: Path,
    recordings: Folder,
    prompts: Folder,
    *,
    files: str = "mixed",
    destroy_after_s: int = 0,
    answer_wait_s: float = 5.0,
    texts: Path | None = None,
    app: str = "callguard",
    policies: Path | None = None,
) -> str:
    """The text of a callguard.toml for a private Asterisk; secrets and store are in the folder `here`."""
    return CONFIGURATION.format(
        ari_url=pbx.ari_url,
        app=app,
        agi=f"agi_port = {pbx.ports.agi}" if app == "callguard" else "",
        http=f"[http]\nport = {pbx.ports.status}" if app == "callguard" else "",
        ami_port=pbx.ami_port,
        here=here,
        files=files,
        destroy_after=destroy_after_s,
        answer_wait=answer_wait_s,
        texts=f'texts = "{texts}"' if texts else "",
        law=f'[law]\npolicies = "{policies}"' if policies else "",
        recordings=recordings,
        prompts=prompts,
        shown=SHOWN,
    )


# What the demo's phone shows, and what tests do.
SHOWN = ("+34600000001", "+34910000062")

# Marketing calls are made at any hour here, and without anybody's consent, to phones that are the demo's own.
OWN_PHONES = """\
country = "ES"

[[rule]]
id = "demo.phones"
kind = "exemption"
source = "these phones are the demo's own: nobody else is called"
lifts = ["es.hours", "es.basis", "es.lists"]
numbers = ["+34600000"]
"""


class Gate:
    """`callguard run` for a private Asterisk, as an async context manager. Its folder goes with it.

    Args:
        environment: settings over those of the file.

    Attributes:
        folder: configuration, secrets, store and log.
    """

    def __init__(
        self,
        pbx: Pbx,
        *,
        files: str = "mixed",
        destroy_after_s: int = 0,
        answer_wait_s: float = 5.0,
        texts: Path | None = None,
        app: str = "callguard",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.pbx = pbx
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.recordings = pbx.folder("recordings" if app == "callguard" else f"recordings-{app}")
        self._temporary = tempfile.TemporaryDirectory(prefix="callguard-gate-")
        self.folder = Path(self._temporary.name)
        for name, value in (("ari", pbx.secrets.ari), ("ami", pbx.secrets.ami)):
            file = self.folder / f"{name}.secret"
            file.touch(0o600)
            file.write_text(value, encoding="utf-8")
        policies = self.folder / "policies"
        policies.mkdir()
        (policies / "own.toml").write_text(OWN_PHONES, encoding="utf-8")
        text = configuration(
            pbx, self.folder, self.recordings, pbx.folder("prompts"),
            files=files, destroy_after_s=destroy_after_s, answer_wait_s=answer_wait_s, texts=texts, app=app,
            policies=policies,
        )  # fmt: skip
        (self.folder / "callguard.toml").write_text(text, encoding="utf-8")
        self.config = config.load(self.folder / "callguard.toml")
        self._process: asyncio.subprocess.Process | None = None

    @property
    def command(self) -> list[str]:
        """How it is started."""
        return [sys.executable, "-m", "callguard", "run", "--config", str(self.folder / "callguard.toml")]

    @property
    def store(self) -> Path:
        return self.config.store.path

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(build, self.config)
            await self.start()
            await self._has_been_called()
        except BaseException:
            await self.kill()
            self._temporary.cleanup()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # Nobody waits for the calls of a demo that was broken off.
            await (self.stop() if kind is None else self.kill())
        finally:
            self._temporary.cleanup()

    async def _has_been_called(self) -> None:
        """Note that the numbers which are shown can be called: there is no network here to call them from."""
        async with Store.open(self.store, gate=None, controllers={}, keys=lambda: master.load(self.config)) as store:
            for number in SHOWN:
                await store.called(number, datetime.now(UTC))

    async def start(self) -> None:
        """Start callguard and wait until it serves.

        Raises:
            SetupError: it ended, or does not serve in time; the text has its last words.
        """
        already = self.log().count(READY) if (self.folder / "log").exists() else 0
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self.environment,
            )  # fmt: skip
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                while self._process.returncode is None and self.log().count(READY) <= already:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        if self._process.returncode is not None or self.log().count(READY) <= already:
            last = " / ".join(self.log().splitlines()[-3:])
            await self.kill()
            raise SetupError(f"callguard does not serve: {last or 'its log is empty'}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL, SIGSTOP, SIGCONT …"""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        return 0 if self._process is None else await self._process.wait()

    async def kill(self) -> None:
        """End it by SIGKILL, as a crash would."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """End it in good order."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self._process is not None:
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await self._process.wait()
            except TimeoutError:
                await self.kill()
