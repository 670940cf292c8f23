"""The keys in a call, what else records, and the phones."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor import dialplan
from callguard.doctor.checks.common import bridgings, places, shortened, unasked
from callguard.doctor.facts import ConfigFile, Facts, NotKnown, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning
from callguard.shipped_dialplan import features

RELOAD_FEATURES = 'then asterisk -rx "module reload features"'
# The option letters of Dial and Queue that turn a feature of Asterisk's own on.
LETTERS = {"blindxfer": "tT", "atxfer": "tT", "disconnect": "hH", "parkcall": "kK", "automixmon": "xX"}
# The keys of the shipped features that only a profile needs where the agent speaks first.
AGENT_FIRST = frozenset({"callguard-agree", "callguard-never"})
# Ways of sending keys that are not as good as RFC 4733, and why. (Clean G.711 tones with dtmf_mode = inband are heard,
# in the gate and in the call.)
MODES = {
    "inband": "keys are told from the sound: a codec, echo or loss may hide them, and speech may sound like one",
    "info": "keys by SIP INFO are not tested with callguard",
    "auto_info": "where the phone does not offer RFC 4733, keys come by SIP INFO, which is not tested with callguard",
}


def _features(facts: Facts) -> Iterator[Problem]:
    there = dict(_map(facts))
    missing = [
        name
        for name, setting in features().items()
        if (name not in AGENT_FIRST or _agent_first(facts))
        and there.get(name, "").replace(" ", "") != setting.replace(" ", "")
    ]
    if missing:
        yield risk(
            f"features.conf has not, or has otherwise: {', '.join(missing)}",
            "the person's key in the call does nothing: a recording could not be withdrawn, agreed to or ended",
            "features.conf, [applicationmap]: #include dialplan/callguard-features.conf (callguard init --apply), "
            + RELOAD_FEATURES,
        )


def _prefixes(facts: Facts) -> Iterator[Problem]:
    ours = features()
    keys = _our_keys(facts)
    for name, text in _map(facts):
        code = text.split(",")[0].strip()
        if name not in ours and code and any(key.startswith(code) for key in keys):
            yield risk(
                f"the feature {name} in features.conf has the code {code}, with which {_hidden(keys, code)} begins",
                "it fires at the first key, and the person's own key is never heard",
                f"features.conf, [applicationmap]: give {name} another code, {RELOAD_FEATURES}",
            )
    for name, its_code in known(facts.ami).features.items():
        if name in LETTERS and name != "disconnect":
            yield from _own_feature(facts, name, known(its_code), keys)


def _in_transfer(facts: Facts) -> Iterator[Problem]:
    codes = known(facts.ami).features
    atxfer = known(codes["atxfer"])
    using = [one for one in bridgings(facts) if one.has(LETTERS["atxfer"])]
    if not atxfer or not using:
        return
    for name in sorted(codes.keys() - LETTERS.keys()):
        code = known(codes[name])
        taken = sorted(key for key in _our_keys(facts) if code and (key.startswith(code) or code.startswith(key)))
        if taken:
            yield warning(
                f"{code} is {name} in an attended transfer by code ({atxfer}), which {places(using)} allow",
                f"{' and '.join(taken)} does not reach callguard while the agent asks somebody else: it does {name}",
                f"features.conf, [general]: {name} = a code that begins none of ours, such as *7, {RELOAD_FEATURES}",
            )


def _hang_up(facts: Facts) -> Iterator[Problem]:
    yield from _own_feature(facts, "disconnect", known(known(facts.ami).features["disconnect"]), _our_keys(facts))


def _own_feature(facts: Facts, name: str, code: str, keys: frozenset[str]) -> Iterator[Problem]:
    if not code or not any(key.startswith(code) for key in keys):
        return
    letters = LETTERS[name]
    there = bridgings(facts)
    using = [one for one in there if one.has(letters)]
    does = "hangs up" if name == "disconnect" else f"means {name}"
    if using:
        yield risk(
            f"{code} {does} in {len(using)} Dial or Queue with one of the options {letters}: {places(using)}",
            f"{_hidden(keys, code)} begins with it: who wants to stop the recording loses the call, or is not heard",
            f"leave {letters[0]} and {letters[1]} out there, or features.conf, [featuremap]: {name} = a code that does "
            f"not begin so, such as **, {RELOAD_FEATURES}",
        )
        return
    unresolved = [one for one in there if one.unresolved]
    if unresolved:
        raise NotKnown(
            f"{len(unresolved)} Dial or Queue have options that only a call knows ({places(unresolved)}); see that "
            f"none of them is {letters[0]} or {letters[1]} while {code} {does}"
        )


def _other_recordings(facts: Facts) -> Iterator[Problem]:
    steps = dialplan.recordings(dialplan.foreign(known(known(facts.ami).steps)))
    if steps:
        yield unasked(
            facts,
            f"{len(steps)} places of the dialplan record by themselves: "
            + shortened([f"{step.app} at {step.place}" for step in steps]),
            "nobody was asked there, and what Record makes is not seen by anybody",
            "remove them where callers or callees are recorded, and let the gate do it",
        )


def _queue_recordings(facts: Facts) -> Iterator[Problem]:
    for section in _queues(facts).sections:
        if section.get("monitor-format"):
            yield risk(
                f"the queue {section.name} records by itself (monitor-format in queues.conf)",
                "it records whoever refused, too",
                f'queues.conf, [{section.name}]: remove monitor-format, then asterisk -rx "queue reload all"',
            )


def _key_recordings(facts: Facts) -> Iterator[Problem]:
    ami = known(facts.ami)
    code = known(ami.features["automixmon"])
    using = [one for one in bridgings(facts) if one.has(LETTERS["automixmon"])]
    if code and using:
        yield warning(
            f"{code} starts a recording by key (automixmon) in {places(using)}",
            "it records without the gate, also who refused",
            f"leave x and X out there, or features.conf, [featuremap]: automixmon = with no code, {RELOAD_FEATURES}",
        )
    buttons = [one.name for one in known(ami.endpoints) if one.one_touch_recording]
    if buttons:
        yield warning(
            f"one_touch_recording is on for {shortened(buttons)}",
            "the phone's button records without the gate",
            'pjsip.conf: one_touch_recording = no, then asterisk -rx "pjsip reload"',
        )


def _queue_exits(facts: Facts) -> Iterator[Problem]:
    exists = known(facts.ami).exists
    for section in _queues(facts).sections:
        context = section.get("context")
        if not context:
            continue
        for key in ("9", "*9", "*"):
            if known(exists[f"{context},{key},1"]):
                yield risk(
                    f"the queue {section.name} has the exit context {context}, which has an extension {key}",
                    "who presses *9 in the queue, to stop the recording, leaves the queue",
                    f"extensions.conf, [{context}]: take {key} out, or queues.conf, [{section.name}]: no context",
                )
                break


def _dtmf(facts: Facts) -> Iterator[Problem]:
    endpoints = known(known(facts.ami).endpoints)
    for mode, says in MODES.items():
        names = [one.name for one in endpoints if one.dtmf_mode == mode]
        if names:
            yield warning(
                f"dtmf_mode = {mode}: {shortened(names)}",
                f"{says}; who is not heard cannot say yes, object, or stop a recording",
                "pjsip.conf: dtmf_mode = rfc4733 (or auto) where the other side can; ask the carrier for RFC 4733",
            )


def _redirects(facts: Facts) -> Iterator[Problem]:
    names = [one.name for one in known(known(facts.ami).endpoints) if one.redirect_method == "uri_core"]
    if names:
        yield warning(
            f"redirect_method = uri_core: {shortened(names)}",
            "when such a phone forwards a call, the next one does not see X-Callguard-Consent",
            'pjsip.conf: redirect_method = uri_pjsip (or user), then asterisk -rx "pjsip reload"',
        )


def _map(facts: Facts) -> tuple[tuple[str, str], ...]:
    return known(known(facts.ami).files["features.conf"]).section("applicationmap").lines


def _queues(facts: Facts) -> ConfigFile:
    return known(known(facts.ami).files["queues.conf"])


def _our_keys(facts: Facts) -> frozenset[str]:
    used = (text for name, text in features().items() if name not in AGENT_FIRST or _agent_first(facts))
    return frozenset(text.split(",")[0] for text in used)


def _agent_first(facts: Facts) -> bool:
    return any(profile.agent_first for profile in facts.config.profiles.values())


def _hidden(keys: frozenset[str], code: str) -> str:
    return " and ".join(sorted(key for key in keys if key.startswith(code)))


CHECKS = (
    Check("features.callguard", "The person's keys are features of Asterisk", Severity.RISK, _features),
    Check("features.prefix", "No other feature's code takes the person's keys away", Severity.RISK, _prefixes),
    Check("features.transfer", "No code of an attended transfer is one of the keys", Severity.WARNING, _in_transfer),
    Check("dial.hangup", "No * hangs up where *9 stops the recording", Severity.RISK, _hang_up),
    Check("recordings.others", "Nothing in the dialplan records without the gate", Severity.RISK, _other_recordings),
    Check("recordings.queues", "No queue records by itself", Severity.RISK, _queue_recordings),
    Check("recordings.keys", "No key or button records without the gate", Severity.WARNING, _key_recordings),
    Check("queues.exit", "*9 does not leave a queue", Severity.RISK, _queue_exits),
    Check("endpoints.dtmf", "Keys come by RFC 4733", Severity.WARNING, _dtmf),
    Check("endpoints.redirect", "Forwarding phones keep the agent's display", Severity.WARNING, _redirects),
)
