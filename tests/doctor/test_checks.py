"""Each check, against a PBX that is well but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from callguard.access_sections import Roles
from callguard.backup_sections import Backup
from callguard.doctor.checks import CHECKS, judged
from callguard.doctor.checks.modules import NEEDED
from callguard.doctor.facts import (
    Ami,
    Answer,
    Answered,
    Ari,
    ClearRows,
    Disk,
    Facts,
    Module,
    Recorded,
    RecordingFolder,
    StoreFault,
    StoreIs,
    Unit,
    Unknown,
    known,
)
from callguard.doctor.findings import Severity
from callguard.doctor.tried import nothing_tried
from callguard.registry.standing import Standing, State
from callguard.store.right_records import Due
from tests.doctor.healthy import (
    MANAGER,
    STEPS,
    ami,
    ari,
    endpoint,
    file,
    healthy,
    here,
    settings,
    step,
    tried,
    with_features,
    with_globals,
    with_steps,
    without_module,
)

RISK, WARNING, NOT_CHECKED = Severity.RISK, Severity.WARNING, Severity.NOT_CHECKED
Break = Callable[[Facts], Facts]

GIB = 2**30


def dialled(options: str, app: str = "Dial") -> Break:
    data = f"{'PJSIP/1,30' if app == 'Dial' else 'service'},{options}b(callguard-agent^s^1)"
    return lambda facts: with_steps(facts, step("mine", "5", app, data))


def listing(state: State, age_days: int | None, problem: str = "", controller: str = "", file: str = "/us") -> Break:
    one = Standing("us", Path(file) if file else None, state, None, age_days, 31, problem, controller)
    return lambda facts: here(facts, registries=(one,))


def unwatched(facts: Facts) -> Facts:
    """A callguard that stops nobody's recordings."""
    watchdog = facts.config.watchdog.model_copy(update={"foreign": "report"})
    return replace(facts, config=facts.config.model_copy(update={"watchdog": watchdog}))


def behind_the_gate(app: str, data: str) -> Break:
    """A Dial or Queue in an extension whose callers were asked."""
    return lambda facts: with_steps(facts, step("from-outside", "100", app, data))


def manager(**account: str) -> Break:
    kept = tuple((key, text) for key, text in MANAGER if key not in account)
    return lambda facts: file(facts, "manager.conf", callguard=(*kept, *account.items()))


def without(event: str) -> tuple[tuple[str, str], ...]:
    """The manager account without an event's filter."""
    return tuple((key, text) for key, text in MANAGER if f"(include),name({event})" not in key)


def trunks(*patterns: str) -> Break:
    return lambda facts: replace(facts, config=facts.config.model_copy(
        update={"paths": facts.config.paths.model_copy(update={"trunks": patterns})}
    ))  # fmt: skip


def without_caller_ids(facts: Facts) -> Facts:
    sales = facts.config.profiles["sales"].model_copy(update={"caller_ids": frozenset()})
    profiles = {**facts.config.profiles, "sales": sales}
    return replace(facts, config=facts.config.model_copy(update={"profiles": profiles}))


def room(free: int, day: int, mode: int = 0o2770, writable: bool = True) -> Break:
    return lambda facts: here(facts, folder=RecordingFolder(mode, writable, free, day))


def settings_with(**asterisk: str | tuple[str, ...]) -> Break:
    return lambda facts: replace(facts, config=facts.config.model_copy(
        update={"asterisk": facts.config.asterisk.model_copy(update=asterisk)}
    ))  # fmt: skip


def said(answer: Answer, problem: str = "", do: str = "") -> Break:
    return lambda facts: here(facts, health=Answered(answer, problem, do))


def backed_up(age_h: float | None) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        settings = Backup.model_validate({"key": {"env": "BACKUP_KEY"}, "folder": "/mnt/backup"})
        config = facts.config.model_copy(update={"backup": settings})
        return here(replace(facts, config=config), backup_age_h=age_h)

    return change


def unlimited(facts: Facts) -> Facts:
    """Nothing says how long the recordings of one purpose are kept."""
    terms = {"recording.quality": facts.config.retention["acme"]["recording.quality"]}
    return replace(facts, config=facts.config.model_copy(update={"retention": {"acme": terms}}))


def roles(**members: dict[str, list[str]]) -> Break:
    """Who may do what; nobody says where there are none."""
    given = Roles.model_validate(members) if members else None
    return lambda facts: replace(facts, config=facts.config.model_copy(update={"roles": given}))


# What is broken, and the one finding that it makes: its id, severity, and words of it.
BROKEN: list[tuple[Break, str, Severity, str]] = [
    (lambda f: replace(f, ari=Unknown("ARI answered 401")), "ari.answers", RISK, "ARI answered 401"),
    (lambda f: ari(f, may_write=False), "ari.rights", RISK, "read-only"),
    (lambda f: replace(f, ami=Unknown("Login: Authentication failed")), "ami.answers", RISK, "Authentication failed"),
    (lambda f: ami(f, actions=frozenset({"StopMixMonitor", "Setvar"})), "ami.rights", RISK, "system, reporting"),
    (lambda f: ami(f, actions=frozenset({"ModuleLoad", "StopMixMonitor", "ShowDialPlan"})), "ami.rights", RISK, "call"),
    (manager(write="system,call,reporting,command"), "ami.spare", WARNING, "write classes than callguard needs"),
    (manager(read="user,dtmf,call,log"), "ami.spare", WARNING, "read classes than callguard needs: log"),
    (lambda f: tried(f, events=frozenset({"MixMonitorStart"})), "ami.events", RISK, "do not reach"),
    (lambda f: tried(f, events=frozenset({"CallguardDoctor", "MixMonitorStart", "DoctorUnwanted"})),
     "ami.events", WARNING, "no event filter"),
    (lambda f: tried(f, events=frozenset({"CallguardDoctor", "MixMonitorStart", "Newchannel"})),
     "ami.events", WARNING, "no event filter"),
    (lambda f: tried(f, events=frozenset({"CallguardDoctor"})), "ami.recorders", RISK, "neither seen nor stopped"),
    (lambda f: ami(f, freepbx={"100/recording/in/external": "yes"}), "freepbx.recording", WARNING, "100 (in/external)"),
    (lambda f: unwatched(ami(f, freepbx={"100/recording/out/internal": "force"})),
     "freepbx.recording", RISK, "100 (out/internal); it records whoever refused, too; nothing stops it"),
    (lambda f: unwatched(with_steps(f, step("mine", "5", "MixMonitor", "x.wav"))),
     "recordings.others", RISK, "[watchdog] foreign = report"),
    (lambda f: ami(f, freepbx={"100/recording/ondemand": "override"}), "freepbx.ondemand", WARNING, "extension 100"),
    (manager(read="user"), "ami.keys", RISK, "key presses"),
    (lambda f: file(f, "manager.conf", callguard=without("DTMFEnd")), "ami.keys", RISK, "key presses"),
    (lambda f: ari(f, version="20.13.0"), "asterisk.version", RISK, "20.13.0 is too old"),
    (lambda f: ari(f, version="19.8.1"), "asterisk.version", RISK, "too old"),
    (lambda f: ari(f, version="GIT-master-abc"), "asterisk.version", NOT_CHECKED, "no release's version"),
    (lambda f: without_module(f, "app_stasis_broadcast"), "asterisk.broadcast", WARNING, "not loaded"),
    (lambda f: ami(f, sessions=0), "service.connected", RISK, "holds no manager session"),
    (said(Answer.NONE), "service.health", RISK, "hangs: its connection at 127.0.0.1:9732 opens, and /health has no"),
    (said(Answer.ILL, "the gate is full", "is this an attack?"),
     "service.health", RISK, "not gated: the gate is full; they go on unrecorded, and no number is dialled but "
     "emergencies; is this an attack?"),
    (said(Answer.NOBODY), "service.health", WARNING, "nobody listens at 127.0.0.1:9732"),
    (said(Answer.ANOTHER), "service.health", WARNING, "no callguard"),
    (lambda f: here(f, health=Unknown("there is no port")), "service.health", NOT_CHECKED, "because there is no port"),
    (lambda f: with_globals(f, CALLGUARD_FOLDER_callguard="/old"), "service.told", RISK, "to /old, not to /srv/rec"),
    (lambda f: file(f, "http.conf", general=(("enabled", "yes"), ("bindaddr", "10.0.0.2"))),
     "network.listening", WARNING, "http.conf listens on 10.0.0.2"),
    (lambda f: file(f, "manager.conf", general=(("enabled", "yes"),)), "network.listening", WARNING, "manager.conf"),
    (settings_with(ari_url="http://10.0.0.2:8088"), "network.listening", RISK, "ARI's password"),
    (settings_with(ami_host="pbx.example"), "network.listening", RISK, "AMI's password"),
    (settings_with(agi_host="0.0.0.0"), "network.listening", RISK, "FastAGI listens on 0.0.0.0"),
    *((lambda f, name=name: without_module(f, name), "modules.loaded", RISK, f"{name} is not loaded")
      for name in NEEDED),
    (lambda f: without_module(f, "res_speech"), "modules.agi", RISK, "res_speech is not loaded"),
    (lambda f: ari(f, modules={**known(known(f.ari).modules), "res_agi.so": Module(True, 0)}),
     "modules.agi", RISK, "before res_agi"),
    (lambda f: replace(f, marker="v9"), "dialplan.current", RISK, "(v0123456789ab) is not this callguard's (v9)"),
    (lambda f: replace(f, shipped=(replace(STEPS[0], data="theirs.wav"), *STEPS[1:])), "dialplan.current", RISK,
     "is not as it was shipped: s@callguard-inbound, priority 1"),
    (lambda f: ami(f, steps=STEPS[:2]), "dialplan.used", WARNING, "no call goes through"),
    (lambda f: with_steps(f, step("a", "1", "Gosub", "callguard-inbound,s,1(nobody)")),
     "dialplan.used", WARNING, "nobody"),
    (dialled("U(callguard-callee^sales)U(mine)"), "dialplan.second_u", RISK, "the person called is never asked"),
    (dialled("U(mine)rU(callguard-callee^sales)"), "dialplan.second_u", RISK, "two U()"),
    (lambda f: file(f, "extensions.conf", general=(("clearglobalvars", "yes"),)), "dialplan.globals", WARNING, "clear"),
    (lambda f: with_globals(f, CALLGUARD_DIVERT_contract=""),
     "dialplan.divert", RISK, "CALLGUARD_DIVERT_contract is not"),
    (lambda f: ami(f, exists={"goodbye,s,1": False}), "dialplan.divert", RISK, "which the dialplan has not"),
    (lambda f: file(f, "extensions.conf", globals=()), "dialplan.required", WARNING, "CALLGUARD_REQUIRED_sales"),
    (lambda f: tried(f, emergency={"112": "deny", "911": "emergency"}),
     "emergency.passes", RISK, "112 does not pass: deny"),
    (lambda f: tried(f, emergency={"112": "missing"}), "emergency.passes", RISK, "x112,1,NoOp()"),
    (lambda f: tried(f, emergency={"112": "emergency", "085": "missing"}), "emergency.country", WARNING, "085"),
    (lambda f: tried(f, emergency={"112": "emergency", "0112": "missing"}),
     "emergency.country", WARNING, "outside line"),
    (lambda f: file(f, "features.conf", applicationmap=()), "features.callguard", RISK, "callguard-stop"),
    (lambda f: file(f, "features.conf", applicationmap=[*_features(f), ("mine", "*,self,NoOp")]),
     "features.prefix", RISK, "mine in features.conf has the code *"),
    (lambda f: file(f, "features.conf", applicationmap=[*_features(f), ("mine", "1,self,NoOp")]),
     "features.prefix", RISK, "with which 1 begins"),
    (lambda f: with_features(dialled("T")(f), blindxfer="*"), "features.prefix", RISK, "* means blindxfer"),
    (lambda f: with_features(dialled("T")(f), atxfer="*2"), "features.transfer", WARNING,
     "*4 is atxferswap in an attended transfer by code (*2)"),
    (lambda f: with_features(dialled("t")(f), atxfer="*2", atxferswap="*7", atxferabort="*"),
     "features.transfer", WARNING, "* is atxferabort"),
    (dialled("H"), "dial.hangup", RISK, "* hangs up in 1 Dial or Queue with one of the options hH: 5@mine, priority 1"),
    (dialled("h", "Queue"), "dial.hangup", RISK, "hangs up"),
    (dialled("${OPTIONS}"), "dial.hangup", NOT_CHECKED, "options that only a call knows (5@mine, priority 1)"),
    (lambda f: with_globals(dialled("${OPTIONS}")(f), OPTIONS="HhTtr"), "dial.hangup", RISK, "hangs up"),
    (lambda f: with_steps(f, step("mine", "5", "MixMonitor", "x.wav")),
     "recordings.others", WARNING, "MixMonitor at 5@mine"),
    (lambda f: with_steps(f, step("mine", "5", "ExecIf", '$["a"="a"]?Record(x.wav)')),
     "recordings.others", WARNING, "ExecIf"),
    (lambda f: file(f, "queues.conf", service=(("monitor-format", "wav"),)),
     "recordings.queues", RISK, "monitor-format"),
    (lambda f: with_features(dialled("x")(f), automixmon="##"), "recordings.keys", WARNING, "## starts a recording"),
    (lambda f: endpoint(f, one_touch_recording=True),
     "recordings.keys", WARNING, "one_touch_recording is on for trunk"),
    (lambda f: ami(file(f, "queues.conf", service=(("context", "out"),)), exists={
        "goodbye,s,1": True, "out,9,1": True, "out,*9,1": False, "out,*,1": False}),
     "queues.exit", RISK, "extension 9"),
    (lambda f: endpoint(f, dtmf_mode="inband"), "endpoints.dtmf", WARNING, "keys are told from the sound"),
    (lambda f: endpoint(f, dtmf_mode="info"), "endpoints.dtmf", WARNING, "not tested"),
    (lambda f: endpoint(f, dtmf_mode="auto_info"), "endpoints.dtmf", WARNING, "auto_info: trunk"),
    (lambda f: endpoint(f, redirect_method="uri_core"), "endpoints.redirect", WARNING, "uri_core: trunk"),
    (lambda f: with_steps(f, step("mine", "_9X.", "Dial", "PJSIP/${EXTEN:1}@trunk,60,b(own^s^1)")),
     "paths.guarded", WARNING, "1 Dial to a trunk say no b(callguard-invite^s^1): _9X.@mine"),
    (lambda f: with_steps(f, step("mine", "_9X.", "Dial", "IAX2/trunk/${EXTEN:1}")),
     "paths.guarded", WARNING, "_9X.@mine"),
    (lambda f: file(f, "manager.conf", crm=(("write", "call, originate"),), panel=(("write", "call"),)),
     "paths.managers", WARNING, "1 manager accounts may originate calls: crm (originate)"),
    (lambda f: file(f, "ari.conf", crm=(("type", "user"),), panel=(("type", "user"), ("read_only", "yes"))),
     "paths.ari", WARNING, "1 ARI users may originate calls: crm"),
    (lambda f: ari(f, modules={**known(known(f.ari).modules), "pbx_spool.so": Module(True, 0)}),
     "paths.files", WARNING, "call files are taken"),
    (without_caller_ids, "paths.caller_ids", WARNING, "1 profiles for marketing calls name no caller_ids: sales"),
    (trunks(), "paths.trunks", WARNING, '[paths] trunks = ["PJSIP/trunk-*"]: the channels of your trunks'),
    (lambda f: ami(trunks()(f), steps=STEPS[:4]), "paths.trunks", WARNING, '[paths] trunks = ["PJSIP/NAME-*"]'),
    (lambda f: with_steps(f, step("mine", "_9X.", "Dial", "DAHDI/g1/${EXTEN:1},60,b(callguard-invite^s^1)")),
     "paths.trunks", WARNING, 'does not name: DAHDI/g1; what is originated straight to such a channel is not hung up'),
    (lambda f: with_steps(f, step("mine", "_9X.", "Dial", "DAHDI/g1/${EXTEN:1},60,b(callguard-invite^s^1)")),
     "paths.trunks", WARNING, 'add "DAHDI/*" where'),
    (lambda f: file(f, "manager.conf", callguard=without("DialBegin")),
     "paths.trunks", WARNING, "what is originated does not reach callguard's manager account"),
    (behind_the_gate("Dial", "PJSIP/agent,30,r"), "agents.inside", RISK, "gate say no b(callguard-agent^s^1)"),
    (behind_the_gate("Dial", "PJSIP/agent&Local/x@y,30,b(own^s^1)"), "agents.inside", RISK, "1 Dial or Queue behind"),
    (behind_the_gate("Queue", "service,r"), "agents.inside", RISK, "behind the gate"),
    (lambda f: with_steps(f, step("mine", "_1XX", "Dial", "PJSIP/${EXTEN},30")),
     "agents.inside", WARNING, "_1XX@mine, priority 1; where a recorded call comes there, by Goto or a transfer"),
    (lambda f: with_features(behind_the_gate("Dial", "PJSIP/agent,30,${OPTIONS}")(f), disconnect=""),
     "agents.inside", NOT_CHECKED, "options that only a call"),
    (lambda f: endpoint(f, name="agent", tells_changes=False), "agents.display", WARNING, "send_rpid: agent;"),
    (lambda f: here(f, prompts="x.wav: cannot be read"), "prompts.built", RISK, "x.wav: cannot be read"),
    (lambda f: tried(f, sounds={"/srv/prompts/played/ab": False}), "prompts.heard", RISK, "/srv/prompts/played/ab"),
    (lambda f: tried(f, recorded=Recorded(seen=False)), "folder.same", RISK, "does not appear in /srv/recordings"),
    (room(500 * GIB, GIB, mode=0o2775), "folder.rights", WARNING, "open to everyone (2775)"),
    (room(500 * GIB, GIB, mode=0o770), "folder.rights", WARNING, "no setgid bit"),
    (room(500 * GIB, GIB, writable=False), "folder.rights", RISK, "may not be written to"),
    (lambda f: tried(f, recorded=Recorded(True, False, True, 0o600)), "folder.files", RISK, "cannot read"),
    (lambda f: tried(f, recorded=Recorded(True, True, False, 0o660)), "folder.files", RISK, "cannot remove"),
    (lambda f: tried(f, recorded=Recorded(True, True, True, 0o664)), "folder.files", WARNING, "by everyone (mode 664)"),
    (room(100 * 2**20, 0), "folder.space", RISK, "100 MiB are free"),
    (room(GIB, 2 * GIB), "folder.space", RISK, "0 days"),
    (room(10 * GIB, GIB), "folder.space", WARNING, "10 days"),
    *((lambda f, kind=kind: here(f, store=StoreFault("callguard.db: has schema 1", kind)), "store.opens", RISK, words)
      for kind, words in (
          (StoreIs.MISSING, "has schema 1; without its store callguard asks nobody and allows no dial; systemctl st"),
          (StoreIs.CLOSED, "chown callguard: /srv /srv/callguard.db*"), (StoreIs.DAMAGED, "put a backup of /srv"),
          (StoreIs.ANOTHER, "systemctl restart callguard updates"),
      )),
    (lambda f: here(f, ledger_key="ledger.key: chmod 600"), "ledger.key", RISK, "signed: ledger.key: chmod 600; callg"),
    (roles(), "roles.configured", WARNING, "whoever may use callguard's account or root's may read, hand out"),
    (roles(administrator={"users": ["root"]}), "roles.officer", WARNING, "nobody is officer; what people ask for"),
    (lambda f: here(f, unknown_members=("ana", "dpos")), "roles.known", WARNING, "does not have: ana, dpos; who"),
    (lambda f: here(f, requests=Due(overdue=2)), "requests.due", WARNING, "2 requests of people are overdue; each is"),
    (lambda f: here(f, requests=Due(soon=1)), "requests.due", WARNING, "1 request of a person is due within 7 days; "),
    (backed_up(None), "backup.fresh", WARNING, "there is no backup in /mnt/backup, and 26 h at most are configured"),
    (backed_up(30.0), "backup.fresh", WARNING, "the youngest backup is 30 h old in /mnt/backup"),
    (unlimited, "recordings.retention", WARNING, "how long acme keeps recordings for recording.contract; they"),
    (listing(State.MISSING, None, "there is no list yet"), "registries.fresh", WARNING, "us has no list: there is no"),
    (listing(State.UNREADABLE, None, "is damaged"), "registries.fresh", WARNING, "list that cannot be used: is"),
    (listing(State.STALE, 32), "registries.fresh", WARNING, "us is 32 days old, 31 at most"),
    (listing(State.FRESH, 31), "registries.fresh", WARNING, "us will be too old in 1 days"),
    (listing(State.MISSING, None, "no", "acme"), "registries.fresh", WARNING, "us for acme has no receipt: no"),
    (listing(State.STALE, 32, "", "acme"), "registries.fresh", WARNING, "receipt of registry us for acme is 32 days"),
    (listing(State.UNREADABLE, None, "x: is empty", file=""), "registries.fresh", WARNING, "us cannot be asked: x: is"),
    (lambda f: ari(f, ahead_ms=-1_500), "clock.agrees", WARNING, "1.5 s behind"),
    (lambda f: replace(f, config=f.config.model_copy(update={"keys": None})), "keys.configured", WARNING, "keys new"),
    (lambda f: here(f, keys="/srv/master.key: chmod 600"), "keys.readable", RISK, "/srv/master.key: chmod 600"),
    (lambda f: here(f, clear_files=7), "keys.done", WARNING, "not encrypted (yet): 7"),
    (lambda f: here(f, clear_rows=ClearRows(7)), "keys.columns", WARNING, "in the clear (yet): 7"),
    (lambda f: here(f, clear_rows=ClearRows(to_clean=True)), "keys.columns", WARNING, "callguard keys clean"),
    (lambda f: here(f, disk=Disk("ext4 on /dev/sda1", safe=False)), "keys.live", WARNING, "(ext4 on /dev/sda1)"),
    (lambda f: here(f, disk=Disk("tmpfs", safe=True, lasts=False)), "keys.live", WARNING, "lies in memory (tmpfs)"),
    (lambda f: here(f, disk=Unknown("it lies on nfs")), "keys.live", NOT_CHECKED, "it lies on nfs"),
    (lambda f: ari(f, ahead_ms=3_100), "clock.agrees", RISK, "3.1 s ahead of"),
    (lambda f: here(f, synchronised=False), "clock.kept", WARNING, "no NTP"),
    (lambda f: here(f, unit=Unit(True, 0.0)), "service.watchdog", WARNING, "does not watch"),
    (lambda f: here(f, unit=Unit(True, 30.0)), "service.watchdog", WARNING, "waits 30 s"),
    (lambda f: here(f, open_files={**f.here.open_files, "callguard": 256}), "limits.callguard", WARNING, "256 files"),
    (lambda f: here(f, open_files={**f.here.open_files, "asterisk": 1_024}), "limits.asterisk", WARNING, "1024 files"),
]  # fmt: skip


NAMES = [f"{number}-{check}-{severity}" for number, (_, check, severity, _) in enumerate(BROKEN)]


def _features(facts: Facts) -> list[tuple[str, str]]:
    return [*known(known(facts.ami).files["features.conf"]).section("applicationmap").lines]


@pytest.fixture
def well(tmp_path: Path) -> Facts:
    return healthy(tmp_path)


def test_a_healthy_pbx_has_no_problem(well: Facts) -> None:
    assert [one for one in judged(well) if one.severity is not Severity.OK] == []
    assert {one.id for one in judged(well)} == {check.id for check in CHECKS}


@pytest.mark.parametrize(("broken", "check", "severity", "words"), BROKEN, ids=NAMES)
def test_what_is_broken_is_named(well: Facts, broken: Break, check: str, severity: Severity, words: str) -> None:
    found = [one for one in judged(broken(well)) if one.id == check]
    assert [one.severity for one in found] == [severity]
    assert words in f"{found[0].what}; {found[0].why}; {found[0].how}"
    assert severity is NOT_CHECKED or (found[0].why and found[0].how)


# One fault that makes others unknown, or several at once, is looked at below.
CAUSES_MORE = {"ari.answers", "ami.answers", "dialplan.included", "service.connected"}


@pytest.mark.parametrize(("broken", "check", "severity", "words"), BROKEN, ids=NAMES)
def test_one_fault_is_no_other(well: Facts, broken: Break, check: str, severity: Severity, words: str) -> None:
    if check not in CAUSES_MORE:
        assert {one.id for one in judged(broken(well)) if one.severity is not Severity.OK} == {check}


def test_every_check_is_broken_once_and_finds_nothing_worse_than_it_says(well: Facts) -> None:
    order = list(Severity)
    worst = {check.id: check.worst for check in CHECKS}
    assert {check for _, check, _, _ in BROKEN} | {"dialplan.included"} == worst.keys()
    found = {check: min((s for _, c, s, _ in BROKEN if c == check), key=order.index) for _, check, _, _ in BROKEN}
    assert found == {check: worst[check] for check in found}
    assert len(worst) == len(CHECKS)


def test_a_dialplan_that_is_not_there_is_named_once(well: Facts) -> None:
    found = {one.id: one.severity for one in judged(ami(well, steps=())) if one.severity is not Severity.OK}
    assert found["dialplan.included"] is RISK
    assert [check for check, severity in found.items() if severity is RISK] == ["dialplan.included"]
    assert found["dialplan.current"] is found["dialplan.used"] is NOT_CHECKED


def test_callguard_that_does_not_run_is_named_once(well: Facts) -> None:
    stopped = here(ami(ari(well, apps=frozenset()), sessions=0), health=Answered(Answer.NOBODY))
    found = {one.id: one.severity for one in judged(stopped) if one.severity is not Severity.OK}
    assert found == dict.fromkeys(("service.health", "service.told"), NOT_CHECKED) | {"service.connected": RISK}


def test_a_manager_session_without_the_application_is_no_callguard(well: Facts) -> None:
    (found,) = [one for one in judged(ari(well, apps=frozenset({"callguard-2"}))) if one.id == "service.connected"]
    assert found.severity is RISK
    assert "is not connected, and yet" in found.what


@pytest.mark.parametrize(
    "data",
    [
        "PJSIP/${EXTEN}@trunk,60,b(callguard-invite^s^1)",  # to outside by a trunk
        "PJSIP/trunk/sip:1@example,60,b(callguard-invite^s^1)",
        "Local/agent@agents/n,30",  # judged where it dials
        "PJSIP/agent,30,b(own^s^1)",  # an own b() that comes to ours
        "PJSIP/agent,30,b(s^1)",
    ],
)
def test_who_is_of_the_house_or_of_outside_is_no_agent_forgotten(well: Facts, data: str) -> None:
    facts = with_steps(
        well,
        step("own", "s", "Gosub", "callguard-agent,s,1"),
        step("own", "100", "Gosub", "callguard-inbound,s,1(service)"),
        step("own", "100", "Dial", data),
    )
    assert [one for one in judged(facts) if one.severity is not Severity.OK] == []


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("PJSIP/agent,30", "ok"),
        ("PJSIP/agent&PJSIP/guest,30", "risk"),
        ("PJSIP/${EXTEN},30", "ok"),
        ("PJSIP/${X},30", "ok"),
    ],
)
def test_agents_whom_the_configuration_lists_need_no_b(well: Facts, data: str, found: str) -> None:
    facts = settings_with(inside=("PJSIP/ag*", "PJSIP/1*"))(behind_the_gate("Dial", data)(well))
    assert [one.severity for one in judged(facts) if one.id == "agents.inside"] == [found]


@pytest.mark.parametrize(
    ("members", "found"),
    [(("> PJSIP/agent,1,Ann", "Local/1@agents/n"), "ok"), (("PJSIP/agent", "PJSIP/guest"), "risk"), ((), "ok")],
)
def test_the_members_of_a_queue_are_looked_up(well: Facts, members: tuple[str, ...], found: str) -> None:
    facts = file(well, "queues.conf", service=tuple(("member", one) for one in members))
    facts = settings_with(inside=("PJSIP/ag*",))(behind_the_gate("Queue", "service,r")(facts))
    assert [one.severity for one in judged(facts) if one.id == "agents.inside"] == [found]


@pytest.mark.parametrize(
    ("app", "data"),
    [
        ("Dial", "Local/m@members/n,30,b(callguard-agent^s^1)"),
        ("Dial", "Local/${EXTEN}@members,30,b(callguard-agent^s^1)"),
        ("Dial", "Local/m@others/n,30"),  # by one more
        ("Queue", "service,rb(callguard-agent^s^1)"),
    ],
)
def test_a_phone_behind_a_local_channel_is_no_agent_by_the_b_before_it(well: Facts, app: str, data: str) -> None:
    """Its recordings are lost from the start, which is more than the warning where calls may come by Goto."""
    inner = step("members", "_[a-z]", "Dial", "PJSIP/agent,30,r")
    on = step("others", "m", "Dial", "Local/m@members/n,30,b(callguard-agent^s^1)")
    members = {"service": (("member", "Local/m@members/n,1"),)}
    facts = with_steps(file(well, "queues.conf", **members), inner, on, step("from-outside", "100", app, data))
    (found,) = [one for one in judged(facts) if one.id == "agents.inside"]
    assert (found.severity, "_[a-z]@members, priority 1" in found.what) == (RISK, True)
    assert "reaches no phone behind it" in found.how
    shown = replace(inner, data="PJSIP/agent,30,rb(callguard-agent^s^1)")
    facts = with_steps(file(well, "queues.conf", **members), shown, on, step("from-outside", "100", app, data))
    assert [one.severity for one in judged(facts) if one.id == "agents.inside"] == [Severity.OK]


def test_a_display_that_shows_nothing_need_not_change(well: Facts) -> None:
    silent = endpoint(well, name="agent", tells_changes=False)
    told = [judged(with_globals(silent, CALLGUARD_NAME_PREFIX=said)) for said in ("", "yes")]
    assert [[one.severity for one in each if one.id == "agents.display"] for each in told] == [["ok"], ["warning"]]
    # A channel's own variable says it as well.
    said = with_steps(silent, step("a", "1", "Set", "__CALLGUARD_NAME_PREFIX=yes"))
    found = judged(with_globals(said, CALLGUARD_NAME_PREFIX=""))
    assert [one.severity for one in found if one.id == "agents.display"] == ["warning"]


@pytest.mark.parametrize("lost", ["ari", "ami", "both"])
def test_what_cannot_be_asked_is_never_well(well: Facts, lost: str) -> None:
    gone = Unknown("nobody answers")
    facts = replace(
        well,
        ari=well.ari if lost == "ami" else gone,
        ami=well.ami if lost == "ari" else gone,
        tried=nothing_tried(gone),
    )
    found = {one.id: one for one in judged(facts)}
    assert [one.id for one in found.values() if one.severity is RISK] == [
        f"{side}.answers" for side in ("ari", "ami") if lost in {side, "both"}
    ]
    # What needs no Asterisk, or not the side that is lost.
    for name in ("emergency.passes", "folder.same", "prompts.heard", "ami.events", "service.connected"):
        assert found[name].severity is NOT_CHECKED
        assert found[name].what.endswith("not checked, because nobody answers")
    if lost == "both":
        well_still = {one.id for one in found.values() if one.severity is Severity.OK}
        assert well_still == {
            "folder.rights", "folder.space", "ledger.key", "paths.caller_ids", "prompts.built", "store.opens",
            "registries.fresh", "clock.kept", "service.health", "service.watchdog", "limits.callguard",
            "limits.asterisk", "keys.configured", "keys.readable", "keys.done", "keys.columns", "keys.live",
            "recordings.retention", "roles.configured", "roles.officer", "roles.known", "requests.due",
                "backup.fresh",
        }  # fmt: skip


def test_another_account_may_read_no_configuration_and_says_so(well: Facts) -> None:
    assert isinstance(well.ami, Ami)
    shut = ami(well, files=dict.fromkeys(well.ami.files, Unknown("GetConfig: Permission denied")))
    found = {one.id: one.severity for one in judged(shut)}
    for name in ("ami.keys", "features.callguard", "queues.exit", "recordings.queues", "network.listening"):
        assert found[name] is NOT_CHECKED


def test_the_worst_comes_first(well: Facts) -> None:
    facts = ari(endpoint(well, redirect_method="uri_core"), ahead_ms=9_000.0, version="GIT-1")
    order = [one.severity for one in judged(facts)]
    assert order == sorted(order, key=list(Severity).index)
    assert order[:3] == [RISK, WARNING, NOT_CHECKED]


def test_a_remote_asterisk_by_tls_is_no_risk(tmp_path: Path, well: Facts) -> None:
    facts = replace(well, config=settings(tmp_path, ari_url="https://pbx.example:8089"))
    assert all(one.severity is Severity.OK for one in judged(facts) if one.id == "network.listening")


def test_a_folder_that_callguard_cannot_enter_is_a_risk_as_run_refuses_to_start(well: Facts) -> None:
    shut = Unknown("/srv/recordings cannot be looked at: Permission denied")
    facts = tried(here(well, folder=shut), recorded=shut)
    found = {one.id: one for one in judged(facts) if one.severity is not Severity.OK}
    assert [check for check, one in found.items() if one.severity is RISK] == ["folder.rights"]
    assert "callguard does not start" in found["folder.rights"].why
    # As `init --apply` makes it.
    assert "install -d -o asterisk -g callguard -m 2770 /srv/recordings" in found["folder.rights"].how


def test_a_recorder_that_is_not_loaded_takes_no_right_from_the_account(well: Facts) -> None:
    """AMI lists MixMonitor among an account's actions only while that module is there."""
    assert isinstance(well.ami, Ami)
    facts = ami(without_module(well, "app_mixmonitor"), actions=well.ami.actions - {"MixMonitor", "StopMixMonitor"})
    assert [one.id for one in judged(facts) if one.severity is RISK] == ["modules.loaded"]


def test_the_facts_of_a_module_that_failed_to_start(well: Facts) -> None:
    assert isinstance(well.ari, Ari) and isinstance(well.ari.modules, dict)
    facts = ari(well, modules={**well.ari.modules, "func_db.so": Module(running=False, uses=0)})
    assert [one.what for one in judged(facts) if one.severity is RISK] == ["func_db is not loaded"]
