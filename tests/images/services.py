"""The services of docker/compose.yaml, in the places of the demo's Asterisk and callguard."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from callguard import config
from callguard.demo.gate import READY, configuration
from callguard.demo.pbx import Pbx
from callguard.demo.run import WITHDRAWN_LIES_S
from callguard.demo.tree import Kind, Tree
from callguard.errors import SetupError, TelephonyError
from callguard.sections import Folder
from tests.images.engine import Engine, container

# As the Dockerfiles set them.
ASTERISK, CALLGUARD, GROUP = 5060, 5061, 5060
ETC, LIB = Path("/etc/asterisk"), Path("/var/lib/asterisk")
STORE = Path("/var/lib/callguard")
SEEN = {"recordings": Path("/var/spool/callguard"), "prompts": Path("/var/lib/callguard/prompts")}
PBX, GATE = container("asterisk"), container("callguard")
LIMIT_S = 60.0
LOOK_S = 0.1


def fill_volumes(engine: Engine) -> None:
    """What the first start of a container does: each new volume begins as the image has the folder."""
    engine.once("asterisk", "true")
    engine.once("callguard", "--version")


def put(file: Path, text: str, user: int, mode: int) -> None:
    """A file in a volume, as an administrator leaves it there."""
    file.touch(mode)
    file.write_text(text, encoding="utf-8")
    os.chown(file, user, GROUP)
    file.chmod(mode)


class ComposedPbx(Pbx):
    """The compose file's `asterisk`, with the demo's configuration in its volume and ports of its own."""

    def __init__(self, engine: Engine) -> None:
        folder = engine.folder / "pbx"
        folder.mkdir()
        super().__init__(Tree(Kind.DOCKER, folder, folder, Path("/usr/lib/asterisk/modules"),
                              Path("/usr/share/asterisk"), None))  # fmt: skip
        self._engine = engine

    def folder(self, name: str) -> Folder:
        return Folder(path_here=self._engine.volume(name), path_in_asterisk=SEEN[name])

    async def start(self) -> None:
        self._engine.up("asterisk")
        try:
            async with asyncio.timeout(LIMIT_S):
                while "fully booted" not in await self.cli("core waitfullybooted"):
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            raise SetupError(f"Asterisk did not start: {self.log()[-500:]}") from error

    async def stop(self) -> None:
        await self._engine.said("stop", PBX)

    async def kill(self) -> None:
        await self._engine.said("kill", PBX)

    async def cli(self, command: str) -> str:
        return await self._engine.said("exec", PBX, "asterisk", "-rx", command)

    def log(self) -> str:
        return self._engine.log(PBX)

    def _lay_out(self) -> None:
        super()._lay_out()
        for name in ("lib", "spool", "spool/monitor", "run", "log", "log/cdr-custom"):
            made = self._engine.volume("asterisk-lib") / name
            made.mkdir(exist_ok=True)
            os.chown(made, ASTERISK, GROUP)
        for file in (self.path / "etc").glob("*.conf"):
            put(self._engine.volume("asterisk-etc") / file.name, file.read_text(encoding="utf-8"), ASTERISK, 0o640)

    def _values(self) -> dict[str, str]:
        return super()._values() | {"ETC": str(ETC), "DIALPLAN": str(ETC), "RUN": str(LIB)}


class ComposedGate:
    """The compose file's `callguard`: as much of `callguard.demo.gate.Gate` as a caller needs."""

    def __init__(self, engine: Engine, pbx: ComposedPbx) -> None:
        self._engine = engine
        self.recordings = pbx.folder("recordings")
        inside = {name: Folder(path_here=at, path_in_asterisk=at) for name, at in SEEN.items()}
        text = configuration(
            pbx, STORE, inside["recordings"], inside["prompts"], destroy_after_s=WITHDRAWN_LIES_S
        )  # fmt: skip
        put(engine.volume("callguard-etc") / "callguard.toml", text, CALLGUARD, 0o600)
        for name, value in (("ari", pbx.secrets.ari), ("ami", pbx.secrets.ami)):
            put(engine.volume("store") / f"{name}.secret", value, CALLGUARD, 0o600)
        # The same, with the folders' names on this side.
        here = engine.folder / "callguard.toml"
        here.write_text(configuration(pbx, engine.volume("store"), self.recordings, pbx.folder("prompts")), "utf-8")
        self.config = config.load(here)

    @property
    def store(self) -> Path:
        return self._engine.volume("store") / "callguard.db"

    def log(self) -> str:
        return self._engine.log(GATE)

    async def start(self) -> None:
        """Build the prompts as an administrator would, and start the service."""
        self._engine.once("callguard", "prompts", "build")
        self._engine.up("callguard")
        await self.serves(1)

    async def serves(self, times: int) -> None:
        """Wait until it has begun to serve so many times."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while self.log().count(READY) < times:
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as error:
            raise TelephonyError(f"callguard does not serve: {self.log()[-500:]}") from error

    async def kill(self) -> None:
        """End its first process, as a crash would: nobody has asked the engine to stop it."""
        os.kill(self._engine.pid(GATE), 9)
