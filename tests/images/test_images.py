"""The images, built from their Dockerfiles, run as docker/compose.yaml says, and pass real calls with each other."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

import callguard
from callguard import config
from callguard.demo.agent import Agent
from callguard.demo.gate import READY
from callguard.demo.run import Row, play
from callguard.demo.scenarios import SCENARIOS
from callguard.errors import SetupError
from tests.images.engine import ROOT, Engine, container
from tests.images.services import (
    ASTERISK,
    CALLGUARD,
    GATE,
    GROUP,
    LIMIT_S,
    LOOK_S,
    PBX,
    ComposedGate,
    ComposedPbx,
    fill_volumes,
)

pytestmark = pytest.mark.images
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
# What docker/compose.yaml asks for, for both.
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")

# Linux's first port that a socket gets which asked for none; below it somebody meant to listen.
EPHEMERAL = 32_768


@dataclass(frozen=True, slots=True)
class World:
    engine: Engine
    pbx: ComposedPbx
    gate: ComposedGate
    agent: Agent

    async def calls(self, *names: str, number: int) -> list[Row]:
        """Callers who call at the same time, and what came of each; `number` is the first one's."""
        return list(await asyncio.gather(*(
            play(BY_NAME[name], number + count, self.pbx, self.gate, self.agent) for count, name in enumerate(names)
        )))  # fmt: skip


@pytest.fixture(scope="module")
async def world(images: Engine) -> AsyncIterator[World]:
    fill_volumes(images)
    async with ComposedPbx(images) as pbx, Agent(pbx.agent_port) as agent:
        gate = ComposedGate(images, pbx)
        await gate.start()
        yield World(images, pbx, gate, agent)


def test_no_image_holds_a_secret_an_index_or_a_configuration_of_ours(images: Engine) -> None:
    (asterisk,), (ours,) = (json.loads(images.podman("inspect", name)) for name in ("callguard-asterisk",
                                                                                         "callguard"))  # fmt: skip
    assert (asterisk["Config"]["User"], ours["Config"]["User"]) == ("asterisk", "callguard")
    # The colon, as find ends with an error where a place is missing.
    places = "/etc/callguard /var/lib/callguard /var/spool/callguard /run/secrets /mnt /root /etc/pip.conf"
    inside = images.podman("run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", "callguard",
                           "-c", f"find {places} /usr/bin/*gcc* /usr/bin/pip* -type f; :")  # fmt: skip
    assert set(inside.split()) <= {"/root/.bashrc", "/root/.profile"}, inside


async def test_debians_own_configuration_runs_confined_and_listens_on_loopback_alone(images: Engine) -> None:
    """With nothing in its volumes, as after the first `up`; nothing of a volume is lost to the wrong owner."""
    volumes = ("/etc/asterisk:ro", "/var/lib/asterisk", "/var/log/asterisk", "/var/spool/asterisk")
    mounts = [word for at in volumes for word in ("--volume", f"stock{at.replace('/', '-').partition(':')[0]}:{at}")]
    images.podman("run", "--detach", "--name", "stock", "--network", "none", "--tmpfs", "/run/asterisk:mode=1777",
                  *CONFINED, *mounts, "callguard-asterisk")  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            while "fully booted" not in await images.said("exec", "stock", "asterisk", "-rx", "core waitfullybooted"):
                await asyncio.sleep(LOOK_S)
        assert "CapEff:\t0000000000000000" in images.podman("exec", "stock", "cat", "/proc/1/status")
        listening = {
            (columns[1], table)
            for table in ("tcp", "tcp6", "udp", "udp6")
            for line in images.podman("exec", "stock", "cat", f"/proc/net/{table}").splitlines()[1:]
            if int((columns := line.split())[1].rpartition(":")[2], 16) < EPHEMERAL
        }
        assert listening == {(f"0100007F:{5038:04X}", "tcp")}
    finally:
        images.podman("rm", "--force", "--time", "1", "stock")


def test_callguard_needs_nothing_but_its_image_to_say_what_it_is(images: Engine) -> None:
    said = images.podman("run", "--rm", "--network", "none", *CONFINED, "callguard", "--version")
    assert said == f"callguard {callguard.__version__}\n"


async def test_the_services_pass_calls_and_a_crash_of_callguard_is_made_good(world: World) -> None:
    """A yes is recorded in the volume that both share, a no is not; then callguard dies, and the next yes is heard."""
    rows = await world.calls("agrees", "refuses", "agrees, withdraws", number=1)
    assert [(row.name, row.outcome, row.wrong) for row in rows] == [
        ("agrees", "given", ()), ("refuses", "refused", ()), ("agrees, withdraws", "given", ()),
    ]  # fmt: skip
    await world.gate.kill()
    await world.gate.serves(2)
    (row,) = await world.calls("agrees", number=4)
    assert (row.outcome, row.wrong) == ("given", ())


async def test_what_the_services_share_is_for_the_two_of_them_and_nobody_else(world: World) -> None:
    (row,) = await world.calls("agrees", number=5)
    recording = world.gate.recordings.path_here / row.file
    sidecar = recording.with_suffix(".json")
    assert world.gate.recordings.path_here.stat().st_mode & 0o7777 == 0o2770
    for file, user in ((recording, ASTERISK), (sidecar, CALLGUARD)):
        status = file.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o007) == (user, GROUP, 0), file.name
    assert (world.gate.store.stat().st_uid, world.gate.store.stat().st_mode & 0o007) == (CALLGUARD, 0)


async def test_the_compose_file_confines_both_and_knows_when_they_are_well(world: World) -> None:
    for name in (PBX, GATE):
        (state,) = json.loads(world.engine.podman("inspect", name))
        assert state["HostConfig"]["ReadonlyRootfs"]
        assert state["HostConfig"]["RestartPolicy"]["Name"] == "always"
        status = world.engine.podman("exec", name, "cat", "/proc/1/status")
        assert "CapBnd:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert is_well(world.engine, name)
    assert "Read-only file system" in await world.engine.said("exec", GATE, "touch", "/opt/x")


def first_start() -> list[list[str]]:
    """What docs/docker.md has an administrator type, without its `docker compose`."""
    page = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    lines = page.partition("## First start")[2].partition("```sh\n")[2].partition("```")[0].replace("\\\n", "")
    return [words[2:] for line in lines.splitlines() if (words := shlex.split(line))[:2] == ["docker", "compose"]]


def is_well(engine: Engine, name: str) -> bool:
    """What the container's healthcheck says now."""
    try:
        engine.podman("healthcheck", "run", name)
    except SetupError:
        return False
    return True


async def test_a_first_start_as_the_page_says_it_ends_with_a_callguard_that_serves(images: Engine) -> None:
    """On empty volumes, by the compose file's `setup`; both services on a network of their own, as Debian's ports are
    the machine's."""
    project = "first"
    up, setup, restart, build, rest = first_start()
    assert (up[-1], setup[:3], restart[-1]) == ("asterisk", ["run", "--rm", "setup"], "asterisk")
    assert (build[:3], rest) == (["run", "--rm", "callguard"], ["up", "--detach"])
    pbx, gate = container("asterisk", project), container("callguard", project)

    async def becomes(well: bool, name: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while is_well(images, name) is not well:
                await asyncio.sleep(LOOK_S)

    try:
        images.up("asterisk", project, network="none")
        await becomes(True, pbx)
        said = images.once("setup", *setup[3:], project=project)
        settings = images.volume("callguard-etc", project)
        secrets = {file.name: file.read_text("utf-8") for file in settings.glob("*.secret")}
        assert secrets.keys() == {"ari.secret", "ami.secret"}
        for file in settings.glob("*.secret"):
            assert (file.stat().st_uid, file.stat().st_gid, file.stat().st_mode & 0o027) == (0, GROUP, 0), file.name
            assert secrets[file.name].strip() not in said
        assert config.load(settings / "callguard.toml").http.port is not None
        extensions = images.volume("asterisk-etc", project) / "extensions.conf"
        assert "; callguard init" in extensions.read_text("utf-8")
        assert (extensions.stat().st_uid, extensions.stat().st_mode & 0o007) == (ASTERISK, 0)
        await images.said("restart", pbx)
        await becomes(True, pbx)
        images.once("callguard", *build[3:], project=project)
        images.up("callguard", project, network=f"container:{pbx}")
        await becomes(True, gate)
        assert READY in images.log(gate)
        # The same again is the upgrade: it asks nothing and changes no password.
        images.once("setup", project=project)
        assert secrets == {file.name: file.read_text("utf-8") for file in settings.glob("*.secret")}
        # Without its Asterisk callguard gates nothing, and says so.
        await images.said("stop", pbx)
        await becomes(False, gate)
    finally:
        # The one whose network the other uses goes with it; tried again, as a healthcheck may still be running there.
        async with asyncio.timeout(LIMIT_S):
            while pbx in await images.said("ps", "--all", "--format", "{{.Names}}"):
                await images.said("rm", "--force", "--time", "1", "--depend", pbx)
