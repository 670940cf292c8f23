"""`callguard doctor` on a real PBX: one that is well, and the same one broken on purpose in each way."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from callguard import config
from callguard.config import Config
from callguard.demo import pbx as demo_pbx
from callguard.demo.agent import Agent
from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.sipp import EndedBy
from callguard.demo.tones import AGENT, CALLER_AFTER_YES
from callguard.demo.tree import Tree
from callguard.doctor.checks import judged
from callguard.doctor.findings import Finding, Severity
from callguard.doctor.probe import OPERATIONS, gather
from callguard.doctor.tried import ORIGINATE
from callguard.keys.master import MasterKey
from callguard.setup.emergency import of_region
from callguard.shipped import shipped
from tests.asterisk.conftest import PATIENCE_S, World, record_studio_files, says_yes
from tests.test_health import free_port, get

# What depends on the machine that the tests run on.
MACHINE = {"clock.kept", "keys.live", "service.watchdog", "limits.callguard", "limits.asterisk", "folder.space"}
# Whose machine this is, nobody has said.
MACHINE |= {"roles.configured"}


@dataclass(frozen=True, slots=True)
class Clinic:
    """A PBX with callguard, and the doctor."""

    pbx: Pbx
    gate: Gate

    async def look(self, settings: Config | None = None) -> dict[str, list[Finding]]:
        """All findings that are not well, by their check; what depends on the machine left out."""
        found: dict[str, list[Finding]] = {}
        for one in judged(await gather(settings or self.gate.config)):
            if one.severity is not Severity.OK and one.id not in MACHINE:
                found.setdefault(one.id, []).append(one)
        return found

    @contextmanager
    def edited(self, **files: tuple[tuple[str, str], ...] | str) -> Iterator[None]:
        """Configuration files with some text replaced by other text, or with text at their end."""
        before: dict[Path, str] = {}
        try:
            for name, edits in files.items():
                file = self.pbx.path / "etc" / f"{name}.conf"
                before[file] = text = file.read_text(encoding="utf-8")
                for old, new in ((text, text + edits),) if isinstance(edits, str) else edits:
                    assert old in text
                    text = text.replace(old, new)
                file.write_text(text, encoding="utf-8")
            yield
        finally:
            for file, text in before.items():
                file.write_text(text, encoding="utf-8")

    async def serves(self) -> None:
        """Wait until callguard gates calls, whatever it has noticed of what was done to its PBX."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(OSError):  # it has just started, and does not listen yet
                    if (await get(self.pbx.ports.status, "/health"))[0] == 200:
                        return
                await asyncio.sleep(0.05)

    async def cli(self, *commands: str) -> None:
        for command in commands:
            await self.pbx.cli(command)

    def settings(self, **changes: dict[str, Any]) -> Config:
        """The configuration with some settings of its tables changed."""
        tables = {name: getattr(self.gate.config, name).model_copy(update=table) for name, table in changes.items()}
        return self.gate.config.model_copy(update=tables)


# The demo has an extension for a profile that its configuration has not.
AS_SHIPPED = "1002,1,Gosub(callguard-inbound,s,1(broken"

REPAIRED = """
[globals](+)
CALLGUARD_REQUIRED_advice = yes
[callguard-emergency](+)
{numbers}
"""


@pytest.fixture(scope="module")
async def clinic(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinic]:
    texts = tmp_path_factory.mktemp("texts")
    for file in shipped("prompts").glob("*.toml"):
        (texts / file.name).write_bytes(file.read_bytes())
    async with Pbx(tree) as pbx:
        site = pbx.path / "etc" / "site.conf"
        numbers = "\n".join(f"exten => x{number},1,NoOp()" for number in sorted(set(of_region("ES")) - {"112", "911"}))
        site.write_text(REPAIRED.format(numbers=numbers), encoding="utf-8")
        site.chmod(0o644)
        extensions = pbx.path / "etc" / "extensions.conf"
        text = extensions.read_text(encoding="utf-8")
        assert AS_SHIPPED in text
        extensions.write_text(text.replace(AS_SHIPPED, AS_SHIPPED.replace("broken", "choice")), encoding="utf-8")
        await pbx.cli("dialplan reload")
        gate = Gate(pbx, texts=texts)
        file = gate.folder / "callguard.toml"
        text = file.read_text(encoding="utf-8")
        # As `init` writes it; the demo's recordings are to be looked at.
        key = gate.folder / "master.key"
        key.write_text(MasterKey.new().text, encoding="ascii")
        key.chmod(0o600)
        file.write_text(f'{text}\n[keys]\nmaster = {{ file = "{key}" }}\n', encoding="utf-8")
        gate.config = config.load(file)
        record_studio_files(gate, texts)
        async with gate:
            yield Clinic(pbx, gate)


@pytest.fixture(autouse=True)
async def each_begins_and_ends_with_a_callguard_that_serves(clinic: Clinic) -> AsyncIterator[None]:
    """Some disturb ARI, AMI or Asterisk itself, and the next would find callguard on its way back."""
    await clinic.serves()
    yield
    await clinic.serves()


def severities(found: dict[str, list[Finding]]) -> dict[str, str]:
    return {check: str(findings[0].severity) for check, findings in found.items()}


async def test_a_pbx_that_is_well_is_well_and_stays_so(clinic: Clinic) -> None:
    files = clinic.gate.recordings.path_here
    before, log = sorted(files.iterdir()), clinic.gate.log()
    assert await clinic.look() == {}
    # Nothing is left behind, and callguard did not even notice.
    assert sorted(files.iterdir()) == before
    assert clinic.gate.log() == log
    async with asyncio.timeout(5):
        while "0 active channels" not in await clinic.pbx.cli("core show channels"):
            await asyncio.sleep(0.05)
    assert "doctor" not in await clinic.pbx.cli("ari show apps")
    assert "CALLGUARD_DOCTOR" not in await clinic.pbx.cli("dialplan show globals")
    assert not (clinic.pbx.path / "log" / "cdr-custom" / "Master.csv").exists()


async def test_two_who_look_at_once_find_each_what_is_so(clinic: Clinic) -> None:
    """With the same accounts, of which one has other folders: neither hears or reads what the other tries."""
    other = clinic.pbx.folder("nothing-here").path_in_asterisk
    prompts, recordings = (folder.model_copy(update={"path_in_asterisk": other})
                           for folder in (clinic.pbx.folder("prompts"), clinic.gate.recordings))  # fmt: skip
    settings = clinic.settings(prompts={"folder": prompts}, recording={"folder": recordings})
    for _ in range(2):
        well, ill = await asyncio.gather(clinic.look(), clinic.look(settings))
        assert well == {}
        assert severities(ill) == dict.fromkeys(("prompts.heard", "folder.same", "service.told"), "risk")
    assert "CALLGUARD_DOCTOR" not in await clinic.pbx.cli("dialplan show globals")


async def test_a_call_that_is_up_is_left_alone(clinic: Clinic) -> None:
    async with Agent(clinic.pbx.agent_port) as agent:
        world = World(clinic.pbx, clinic.gate, agent)
        calling = asyncio.create_task(world.call(*says_yes(world.times, talks_ms=4_000)))
        told = world.told(await world.agent_call(0))
        assert await clinic.look() == {}
        assert not calling.done()
        assert (await calling).ended_by is EndedBy.CALLER
        leg = await world.settled(told.call)
    assert leg.recording is not None
    assert (leg.recording.duration_ms or 0) > 3_500
    assert world.tones(leg) == {CALLER_AFTER_YES, AGENT}
    assert "no consent is known" not in clinic.gate.log()


async def test_the_demo_as_it_is_shipped_is_at_no_risk(clinic: Clinic) -> None:
    site = clinic.pbx.path / "etc" / "site.conf"
    own = ((site.read_text(encoding="utf-8"), ""),)
    try:
        with clinic.edited(site=own, extensions=(("1002,1,Gosub(callguard-inbound,s,1(choice", AS_SHIPPED),)):
            await clinic.cli("dialplan reload")
            found = severities(await clinic.look())
            assert found == dict.fromkeys(("dialplan.used", "dialplan.required", "emergency.country"), "warning")
    finally:
        await clinic.cli("dialplan reload")


async def test_the_operations_are_those_of_asterisks_description(tree: Tree) -> None:
    for operation in (*OPERATIONS, ORIGINATE):
        file = tree.root / str(tree.data).lstrip("/") / "rest-api" / f"{operation.resource}.json"
        described = [
            (
                one["httpMethod"],
                one["nickname"],
                {p["name"] for p in one.get("parameters", ()) if p["paramType"] == "query"},
            )
            for api in json.loads(file.read_text(encoding="utf-8"))["apis"]
            if api["path"] == f"/{operation.path}"
            for one in api["operations"]
        ]
        (query,) = [q for method, name, q in described if (method, name) == (operation.method, operation.nickname)]
        assert operation.query <= query


async def run(clinic: Clinic, *options: str, file: Path | None = None) -> tuple[int, str, str]:
    """The command itself."""
    path = file or clinic.gate.folder / "callguard.toml"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "callguard", "doctor", "--config", str(path), *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd="/",
    )  # fmt: skip
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


async def test_wrong_passwords(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong", encoding="utf-8")
    (tmp_path / "wrong").chmod(0o600)
    file = tmp_path / "callguard.toml"
    text = (clinic.gate.folder / "callguard.toml").read_text(encoding="utf-8")
    for name in ("ari", "ami"):
        text = text.replace(f"{clinic.gate.folder}/{name}.secret", f"{tmp_path}/wrong")
    file.write_text(text, encoding="utf-8")
    code, said, complained = await run(clinic, "--json", file=file)
    assert (code, complained) == (1, "")
    report = json.loads(said)
    risks = {one["id"]: one["what"] for one in report["findings"] if one["severity"] == "risk"}
    assert "401" in risks.pop("ari.answers")
    assert "Authentication failed" in risks.pop("ami.answers")
    assert risks == {}
    assert report["counts"]["risk"] == 2
    not_checked = {one["id"] for one in report["findings"] if one["severity"] == "not_checked"}
    assert not_checked >= {"service.connected", "emergency.passes", "folder.same", "dialplan.current", "endpoints.dtmf"}
    assert "wrong" not in said.replace(str(tmp_path), "")


async def test_a_pbx_that_is_well_says_so_in_a_line(clinic: Clinic) -> None:
    code, said, _ = await run(clinic)
    assert code == 0
    assert said.rstrip().endswith("ok.")
    assert not [line for line in said.splitlines() if line.startswith("risk ")]
    code, said, _ = await run(clinic, "--all")
    assert code == 0
    assert "emergency.passes" in said


async def test_bad_input_is_one_line(clinic: Clinic, tmp_path: Path) -> None:
    code, said, complained = await run(clinic, file=tmp_path / "none.toml")
    assert (code, said, complained.count("\n")) == (2, "", 1)
    assert "none.toml: cannot be read" in complained


async def test_modules_that_are_not_loaded_or_in_the_wrong_order(clinic: Clinic) -> None:
    unloaded = ("app_stasis_broadcast", "app_dtmfstore", "func_db", "func_math")
    again = ("app_stack", "res_agi")
    try:
        await clinic.cli(*(f"module unload {name}.so" for name in (*unloaded, *again)))
        await clinic.cli(*(f"module load {name}.so" for name in again))
        found = await clinic.look()
        assert severities(found) == {
            "modules.loaded": "risk", "asterisk.broadcast": "warning", "modules.agi": "risk",
        }  # fmt: skip
        assert [one.what.split()[0] for one in found["modules.loaded"]] == sorted(unloaded[1:])
        assert "before res_agi" in found["modules.agi"][0].what
    finally:
        await clinic.cli("module unload app_stack.so")
        await clinic.cli(*(f"module load {name}.so" for name in ("app_stack", *unloaded)))
    assert await clinic.look() == {}


DIALPLAN = """
[globals](+)
CALLGUARD_DIVERT_contract = nowhere,s,1
OPTIONS = Ht
[theirs]
exten => 1,1,Dial(PJSIP/agent,30,U(callguard-callee^service)U(theirs-too^s^1))
exten => 2,1,ExecIf($["${X}" = "1"]?MixMonitor(theirs.wav))
exten => 3,1,Dial(PJSIP/agent,30,${OPTIONS}x)
exten => 4,1,Gosub(callguard-inbound,s,1(nobody))
exten => _0X.,1,Gosub(callguard-outbound,s,1(${EXTEN},service))
exten => 9,1,Hangup()
exten => 5,1,Gosub(callguard-inbound,s,1(service))
 same => n,Dial(PJSIP/agent,30,r)
exten => 6,1,Gosub(callguard-inbound,s,1(service))
 same => n,Queue(service,r)
"""
QUEUES = "\nmonitor-format = wav\ncontext = theirs\n"
FEATURES = "\ntheirs => *,self,NoOp()\n[featuremap]\nautomixmon = *3\natxfer = *2\n"
PJSIP = (
    ("dtmf_mode = rfc4733", "dtmf_mode = inband\none_touch_recording = yes\nredirect_method = uri_core"),
    ("auth = softphone\n", "auth = softphone\ndtmf_mode = info\n"),
    ("send_pai = yes\n", ""),
)


async def test_an_administrators_own_dialplan_features_queues_and_phones(clinic: Clinic) -> None:
    reload = ("dialplan reload", "module reload features", "queue reload all", "module reload res_pjsip.so")
    try:
        with clinic.edited(site=DIALPLAN, queues=QUEUES, features=FEATURES, pjsip=PJSIP):
            await clinic.cli(*reload)
            found = await clinic.look()
    finally:
        await clinic.cli(*reload)
    assert severities(found) == {
        "dial.hangup": "risk", "dialplan.second_u": "risk", "dialplan.divert": "risk", "recordings.queues": "risk",
        "queues.exit": "risk", "features.prefix": "risk", "features.transfer": "warning", "endpoints.dtmf": "warning",
        "dialplan.used": "warning", "recordings.others": "warning", "recordings.keys": "warning",
        "endpoints.redirect": "warning", "emergency.country": "warning",
        "agents.inside": "risk", "agents.display": "warning",
    }  # fmt: skip
    assert "3@theirs" in found["dial.hangup"][0].what
    assert [one.what[:16] for one in found["features.transfer"]] == ["*4 is atxferswap"]
    assert "0112" in found["emergency.country"][0].what
    assert "agent" in found["endpoints.dtmf"][0].what
    assert "softphone" in found["endpoints.dtmf"][1].what
    assert len(found["recordings.keys"]) == 2
    # The queue's members are Local channels, which say b() where they dial; 3@theirs comes from no gate itself.
    assert [one.what.partition(" b(")[2].partition(": ")[2] for one in found["agents.inside"]] == [
        "5@theirs, priority 2", "3@theirs, priority 1",
    ]  # fmt: skip
    assert "send_rpid: agent" in found["agents.display"][0].what


async def test_globals_that_a_reload_would_clear(clinic: Clinic) -> None:
    with clinic.edited(site="[general](+)\nclearglobalvars = yes\n"):
        assert severities(await clinic.look()) == {"dialplan.globals": "warning"}


async def test_an_old_dialplan(clinic: Clinic) -> None:
    old = (("x911,1,NoOp()", "x912,1,NoOp()"), ("exten => v", "exten => old"))
    try:
        with clinic.edited(callguard=old, features=(("#include", ";"),)):
            await clinic.cli("dialplan reload")
            found = await clinic.look()
            assert severities(found) == dict.fromkeys(
                ("dialplan.current", "emergency.passes", "features.callguard"), "risk"
            )  # fmt: skip
            assert "911" in found["emergency.passes"][0].what
    finally:
        await clinic.cli("dialplan reload")


async def test_a_step_of_ours_that_was_edited_under_the_same_version(clinic: Clinic) -> None:
    try:
        with clinic.edited(callguard=(("TIMEOUT(absolute)=2)", "TIMEOUT(absolute)=3)"),)):
            await clinic.cli("dialplan reload")
            found = await clinic.look()
    finally:
        await clinic.cli("dialplan reload")
    assert severities(found) == {"dialplan.current": "risk"}
    assert "not as it was shipped: s@callguard-outbound, priority " in found["dialplan.current"][0].what


async def test_a_pbx_without_phones_has_nothing_there_to_be_looked_at(clinic: Clinic) -> None:
    try:
        with clinic.edited(pjsip=(("type = endpoint", "type = aor"),)):
            await clinic.cli("module reload res_pjsip.so")
            found = await clinic.look()
    finally:
        await clinic.cli("module reload res_pjsip.so")
    assert found == {}


async def test_a_recorder_that_is_not_loaded_is_no_missing_right(clinic: Clinic) -> None:
    """(Its application can be neither tried nor used meanwhile.)"""
    try:
        await clinic.cli("module unload app_mixmonitor.so")
        found = await clinic.look()
    finally:
        await clinic.cli("module load app_mixmonitor.so")
    assert "ami.rights" not in found
    assert [one.what for one in found["modules.loaded"]] == ["app_mixmonitor is not loaded"]


async def test_a_recordings_folder_that_is_not_there_is_a_risk_and_nothing_is_tried_in_it(clinic: Clinic) -> None:
    """As one that is closed to callguard, which the tests' own user may enter."""
    gone = clinic.gate.recordings.model_copy(update={"path_here": clinic.pbx.path / "gone"})
    found = await clinic.look(clinic.settings(recording={"folder": gone}))
    assert [check for check, severity in severities(found).items() if severity == "risk"] == ["folder.rights"]
    assert "No such file or directory" in found["folder.rights"][0].what
    assert found["folder.same"][0].severity is Severity.NOT_CHECKED
    assert not list(clinic.gate.recordings.path_here.glob("doctor-*"))


FREEPBX = """
[routes]
exten => _9.,1,Gosub(sub-record-check,s,1(out,${EXTEN},force))
exten => 600,1,Gosub(sub-record-check,s,1(q,600,never))
exten => 601,1,Gosub(sub-record-check,s,1(rg,601,${POLICY}))
"""


async def test_freepbx_that_records_by_itself(clinic: Clinic) -> None:
    keys = {
        "100/recording/in/external": "never",
        "100/recording/ondemand": "disabled",
        "101/recording/in/external": "dontcare",
        "102/recording/out/internal": "always",
        "102/recording/ondemand": "enabled",
        "102/cidname": "force",
    }
    site = clinic.pbx.path / "etc" / "site.conf"
    before = site.read_text(encoding="utf-8")
    try:
        site.write_text(before + FREEPBX, encoding="utf-8")
        puts = (f"database put AMPUSER {key} {policy}" for key, policy in keys.items())
        await clinic.cli("dialplan reload", *puts)
        found = await clinic.look()
    finally:
        site.write_text(before, encoding="utf-8")
        await clinic.cli("dialplan reload", "database deltree AMPUSER")
    assert severities(found) == {"freepbx.recording": "warning", "freepbx.ondemand": "warning"}
    assert [one.what for one in found["freepbx.recording"]] == [
        "FreePBX records by itself: extension 102 (out/internal); _9.@routes, priority 1",
        "FreePBX may record where the other end asks for it: extension 101 (in/external)",
    ]
    assert [one.what for one in found["freepbx.ondemand"]] == ["FreePBX lets agents record by key: extension 102"]


async def test_no_dialplan(clinic: Clinic) -> None:
    try:
        with clinic.edited(extensions=(('#include "', ';"'),)):
            await clinic.cli("dialplan reload")
            found = await clinic.look()
    finally:
        await clinic.cli("dialplan reload")
    assert [check for check, severity in severities(found).items() if severity == "risk"] == ["dialplan.included"]
    for check in ("dialplan.current", "emergency.passes", "folder.same", "prompts.heard", "ami.events"):
        assert found[check][0].severity is Severity.NOT_CHECKED


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ((("write = system,call,reporting", "write = call,reporting"),), {"ami.rights": "risk"}),
        ((("read = user,dtmf,call", "read = user"),), {"ami.keys": "risk", "ami.recorders": "risk"}),
        ((("read = user,", "read = "),), {"ami.events": "risk"}),
        ((("call,reporting", "call,reporting,command"),), {"ami.spare": "warning"}),
        ((("eventfilter", ";"),), {"ami.events": "warning"}),
        ((("= Callguard", "= Other"),), {"ami.events": "risk"}),
    ],
)  # fmt: skip
async def test_a_manager_account_with_other_rights(
    clinic: Clinic, edits: tuple[tuple[str, str], ...], expected: dict[str, str]
) -> None:
    try:
        with clinic.edited(**{"callguard-manager": edits}):
            await clinic.cli("manager reload")
            found = severities(await clinic.look())
    finally:
        await clinic.cli("manager reload")
    # Without the class, configuration files may not be read either.
    unknown = {check for check, severity in found.items() if severity == "not_checked"}
    assert bool(unknown) == ("ami.rights" in expected)
    assert {check: severity for check, severity in found.items() if check not in unknown} == expected


async def test_a_read_only_ari_account_and_open_listeners(clinic: Clinic) -> None:
    # http.conf and manager.conf are not reloaded: nothing here listens on anything but loopback.
    listen = (("bindaddr = 127.0.0.1", "bindaddr = 0.0.0.0"),)
    try:
        read_only = (("read_only = no", "read_only = yes"),)
        with clinic.edited(http=listen, manager=listen, **{"callguard-ari": read_only}):
            await clinic.cli("module reload res_ari.so")
            found = await clinic.look()
    finally:
        await clinic.cli("module reload res_ari.so")
    noticed = {check: severity for check, severity in severities(found).items() if severity != "not_checked"}
    # Every 15 s callguard gives orders that are now refused: then it hangs up, and both rightly say so.
    if {noticed.pop(name, None) for name in ("service.connected", "service.health")} != {None}:
        assert "ARI lost" in clinic.gate.log()
    assert noticed == {"ari.rights": "risk", "network.listening": "warning"}
    assert [one.what.split()[0] for one in found["network.listening"]] == ["http.conf", "manager.conf"]
    assert found["emergency.passes"][0].what.endswith("not checked, because the ARI account is read-only")


async def test_folders_that_are_not_the_same(clinic: Clinic) -> None:
    other = clinic.pbx.folder("elsewhere")
    settings = clinic.settings(
        recording={"folder": clinic.gate.recordings.model_copy(update={"path_in_asterisk": other.path_in_asterisk})},
        prompts={
            "folder": clinic.pbx.folder("prompts").model_copy(update={"path_in_asterisk": other.path_in_asterisk})
        },
        store={"path": clinic.gate.folder / "none.db"},
        asterisk={"agi_host": "0.0.0.0"},
        http={"port": free_port()},
    )
    found = await clinic.look(settings)
    unknown = dict.fromkeys(("keys.done", "keys.columns", "requests.due"), "not_checked")
    assert severities(found) == {"service.health": "warning"} | unknown | dict.fromkeys(
        ("folder.same", "service.told", "prompts.heard", "store.opens", "network.listening"), "risk"
    )  # fmt: skip
    # What Asterisk wrote into the other folder was none of a call.
    (left,) = other.path_here.iterdir()
    assert left.name.startswith("doctor-")


async def test_prompts_that_are_not_built_and_a_folder_that_is_open(clinic: Clinic, tmp_path: Path) -> None:
    file = clinic.pbx.folder("prompts").path_here / "en" / "service-essential.wav"
    data = file.read_bytes()
    try:
        file.write_bytes(data[:-2])
        clinic.gate.recordings.path_here.chmod(0o757)
        found = await clinic.look()
    finally:
        file.write_bytes(data)
        clinic.gate.recordings.path_here.chmod(0o2770)
    assert "service-essential.wav" in found["prompts.built"][0].what
    assert len(found["folder.rights"]) == 2
    noticed = {check: severity for check, severity in severities(found).items() if severity != "not_checked"}
    assert noticed == {"prompts.built": "risk", "folder.rights": "warning"}


async def test_callguard_that_does_not_run(clinic: Clinic) -> None:
    await clinic.gate.stop()
    try:
        found = await clinic.look()
        # Emergency numbers pass, prompts open and files are written all the same: these were looked at.
        assert severities(found) == {
            "service.connected": "risk", "service.told": "not_checked", "service.health": "not_checked",
        }  # fmt: skip
    finally:
        await clinic.gate.start()


async def test_callguard_that_hangs(clinic: Clinic) -> None:
    clinic.gate.signal(signal.SIGSTOP)
    try:
        found = await clinic.look()
    finally:
        clinic.gate.signal(signal.SIGCONT)
    # Its connections stand, so Asterisk knows nothing of it.
    assert severities(found) == {"service.health": "risk"}
    assert "callguard hangs" in found["service.health"][0].what


async def test_an_asterisk_whose_files_are_its_own(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    await clinic.pbx.stop()
    with monkeypatch.context() as patch:
        patch.setattr(demo_pbx, "UMASK", 0o077)
        await clinic.pbx.start()
    try:
        await clinic.serves()
        found = await clinic.look()
        assert severities(found) == {"folder.files": "risk"}
        assert "mode 600" in found["folder.files"][0].what
    finally:
        await clinic.pbx.stop()
        await clinic.pbx.start()


async def test_no_secret_of_any_account_is_in_the_facts(clinic: Clinic) -> None:
    said = repr(await gather(config.load(clinic.gate.folder / "callguard.toml")))
    for secret in (clinic.pbx.secrets.ari, clinic.pbx.secrets.ami):
        assert secret not in said
