"""The way into the gate: modules, dialplan, emergency numbers."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor import dialplan
from callguard.doctor.checks.common import bridgings, loaded, shortened
from callguard.doctor.checks.modules import FOR_AGI, NEEDED
from callguard.doctor.facts import Facts, NotKnown, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning
from callguard.doctor.shipped import differences
from callguard.setup.emergency import EVERYWHERE, of_region
from callguard.shipped_dialplan import VERSION_CONTEXT

RELOAD = 'then asterisk -rx "dialplan reload"'


def _modules(facts: Facts) -> Iterator[Problem]:
    modules = known(known(facts.ari).modules)
    for name in NEEDED:
        module = modules.get(f"{name}.so")
        if module is None or not module.running:
            yield risk(
                f"{name} is not loaded",
                "the gate's dialplan, ARI or the recordings need it",
                f'modules.conf: load = {name}.so (and no noload), then asterisk -rx "module load {name}.so"',
            )


def _agi_modules(facts: Facts) -> Iterator[Problem]:
    if facts.config.asterisk.agi_port is None:
        return
    modules = known(known(facts.ari).modules)
    missing = [name for name in FOR_AGI if f"{name}.so" not in modules]
    if missing:
        yield risk(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not loaded, and agi_port is set",
            "calls cannot reach callguard by FastAGI",
            "modules.conf: "
            + ", ".join(f"load = {name}.so" for name in missing)
            + " above app_stack.so; restart Asterisk",
        )
    elif modules["res_agi.so"].uses == 0:
        # app_stack holds res_agi exactly when its GOSUB is a command of AGI.
        yield risk(
            "app_stack was loaded before res_agi, so AGI has no GOSUB command",
            "callguard's answer by FastAGI does not reach the dialplan: every such call goes on unrecorded",
            "modules.conf: load = res_speech.so and load = res_agi.so above load = app_stack.so; restart Asterisk",
        )


def _included(facts: Facts) -> Iterator[Problem]:
    if not any(step.context == "callguard-inbound" for step in known(known(facts.ami).steps)):
        yield risk(
            "callguard's dialplan is not loaded",
            "a Gosub to the gate fails, and the call with it",
            "callguard init --apply, or #include dialplan/callguard.conf in extensions.conf; " + RELOAD,
        )


def _current(facts: Facts) -> Iterator[Problem]:
    versions = {step.extension for step in loaded(facts) if step.context == VERSION_CONTEXT}
    if facts.marker not in versions:
        yield risk(
            f"the dialplan that is loaded ({', '.join(sorted(versions)) or 'from before it had a version'}) is not "
            f"this callguard's ({facts.marker})",
            "the two do not fit: answers may not be understood, and such calls go on unrecorded",
            "callguard init --apply copies the new one; " + RELOAD,
        )
    elif differing := differences(loaded(facts), facts.shipped):
        yield risk(
            f"the dialplan that is loaded is not as it was shipped: {shortened(differing)}",
            "what is tested is the shipped one: a step that is changed may record without right, or lose calls",
            "callguard init --apply puts back the shipped one; steps of your own go into contexts of your own, and "
            "numbers into [callguard-emergency](+); " + RELOAD,
        )


def _used(facts: Facts) -> Iterator[Problem]:
    uses = dialplan.uses(dialplan.foreign(loaded(facts)))
    if not uses:
        yield warning(
            "no call goes through the gate",
            "nothing in the dialplan says Gosub(callguard-inbound,s,1(PROFILE)) or U(callguard-callee^PROFILE)",
            "put it before Queue or Dial where callers come in; " + RELOAD,
        )
    for use in uses:
        if use.profile and use.profile not in facts.config.profiles:
            yield warning(
                f"{use.step.place} names the profile {use.profile}, which callguard.toml has not",
                "such calls go on unrecorded, and such dials are denied",
                f"call one of {', '.join(facts.config.profiles)}, or add [profiles.{use.profile}]",
            )


def _second_u(facts: Facts) -> Iterator[Problem]:
    for one in bridgings(facts) if loaded(facts) else ():
        subs = [inside for letter, inside in one.options if letter == "U"]
        if len(subs) > 1 and any(inside.startswith("callguard-callee") for inside in subs):
            yield risk(
                f"{one.step.place}: {one.app} has two U()",
                "the last one silently wins"
                + ("" if subs[-1].startswith("callguard-callee") else ": the person called is never asked"),
                "keep U(callguard-callee^PROFILE) alone, and before it say, for your own, "
                "Set(__CALLGUARD_CALLEE_THEN=context,extension,1)",
            )


def _globals_kept(facts: Facts) -> Iterator[Problem]:
    if known(known(facts.ami).files["extensions.conf"]).section("general").on("clearglobalvars"):
        yield warning(
            "clearglobalvars is on",
            "each reload of the dialplan clears what callguard has told it: for up to 15 s nothing is recorded, and a "
            "profile that must be gated is not",
            "extensions.conf, [general]: clearglobalvars = no; " + RELOAD,
        )


def _diversion(facts: Facts) -> Iterator[Problem]:
    ami = known(facts.ami)
    for name, profile in facts.config.profiles.items():
        if not any(purpose.required for purpose in profile.purposes):
            continue
        variable = f"CALLGUARD_DIVERT_{name}"
        place = known(ami.globals[variable])
        if not place:
            yield risk(
                f"{variable} is not set",
                "who objects to a recording that is required has nowhere to go, and reaches the agent",
                f"extensions.conf, [globals]: {variable} = context,extension,priority; {RELOAD}",
            )
        elif not known(ami.exists[place]):
            yield risk(
                f"{variable} is {place}, which the dialplan has not",
                "the call of who objects is cut off",
                f"extensions.conf: add that extension, or name another in [globals]; {RELOAD}",
            )


def _required(facts: Facts) -> Iterator[Problem]:
    kept = known(known(facts.ami).files["extensions.conf"]).section("globals")
    for name, profile in facts.config.profiles.items():
        if profile.gate_required and kept.get(f"callguard_required_{name}") != "yes":
            yield warning(
                f"CALLGUARD_REQUIRED_{name} is not in [globals]",
                "an Asterisk that starts without callguard does not know that such callees must not go through ungated",
                f"extensions.conf, [globals]: CALLGUARD_REQUIRED_{name} = yes; {RELOAD}",
            )


def _emergency(facts: Facts) -> Iterator[Problem]:
    for number, outcome in known(facts.tried.emergency).items():
        if outcome != "emergency" and (outcome != "missing" or number in EVERYWHERE):
            yield risk(
                f"a dial of {number} does not pass: {outcome}",
                "an emergency call waits for callguard, and is denied without it",
                f"extensions.conf: [callguard-emergency](+) with exten => x{number},1,NoOp(); {RELOAD}",
            )


def _country(facts: Facts) -> Iterator[Problem]:
    outcomes = known(facts.tried.emergency)
    missing = [number for number, outcome in outcomes.items() if outcome == "missing" and number not in EVERYWHERE]
    regions = sorted({profile.region for profile in facts.config.profiles.values() if profile.region})
    if missing:
        own = {number for region in regions for number in of_region(region)}
        prefixed = (
            "" if own.issuperset(missing) else ", or with a first digit that your dialplan takes for an outside line"
        )
        yield warning(
            f"not in [callguard-emergency]: {', '.join(missing)}",
            f"these reach an emergency service in {', '.join(regions)}{prefixed}; as any other number they wait for "
            "callguard, and are denied without it",
            "extensions.conf: [callguard-emergency](+) with "
            + " ".join(f"exten => x{number},1,NoOp()" for number in missing)
            + f"; {RELOAD} (`callguard init` writes them)",
        )
    elif not regions:
        raise NotKnown("no profile has a region")


CHECKS = (
    Check("modules.loaded", "The modules that callguard needs are loaded", Severity.RISK, _modules),
    Check("modules.agi", "FastAGI's modules are loaded, in the right order", Severity.RISK, _agi_modules),
    Check("dialplan.included", "callguard's dialplan is loaded", Severity.RISK, _included),
    Check("dialplan.current", "The dialplan that is loaded is this callguard's, step by step", Severity.RISK, _current),
    Check("dialplan.used", "Calls go through the gate, by profiles that there are", Severity.WARNING, _used),
    Check("dialplan.second_u", "No Dial has a second U() beside callguard's", Severity.RISK, _second_u),
    Check("dialplan.globals", "A reload keeps the dialplan's globals", Severity.WARNING, _globals_kept),
    Check("dialplan.divert", "Who objects to a required recording has a place to go", Severity.RISK, _diversion),
    Check("dialplan.required", "Asterisk alone knows which callees must be gated", Severity.WARNING, _required),
    Check("emergency.passes", "Emergency numbers pass, whether callguard runs or not", Severity.RISK, _emergency),
    Check(
        "emergency.country",
        "Those of the country's emergency numbers that libphonenumber knows pass, with outside-line prefix",
        Severity.WARNING,
        _country,
    ),
)
