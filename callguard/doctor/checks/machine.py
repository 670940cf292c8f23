"""Clocks, limits and supervision."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.facts import Facts, known
from callguard.doctor.findings import Check, Problem, Severity, risk, warning

# A consent given in the call starts a recording within 3 s of the key, or not at all (`callguard.after`).
LATE_MS, TOO_LATE_MS = 1_000, 3_000
# callguard holds a handful of files and one for each FastAGI call; Asterisk about ten for each recorded call.
FILES = {"callguard": 1_024, "asterisk": 4_096}
WATCHDOG_S = 10


def _agree(facts: Facts) -> Iterator[Problem]:
    ahead = known(facts.ari).ahead_ms
    if abs(ahead) <= LATE_MS:
        return
    what = f"Asterisk's clock is {abs(ahead) / 1000:.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    mend = "let one NTP service keep both: timedatectl set-ntp true on each"
    if abs(ahead) > TOO_LATE_MS:
        yield risk(what, "a consent given by key in the call counts as too late and is refused", mend)
    else:
        yield warning(what, "from 3 s on, a consent given by key in the call would be refused", mend)


def _kept(facts: Facts) -> Iterator[Problem]:
    if not known(facts.here.synchronised):
        yield warning(
            "nothing keeps this machine's clock (no NTP)",
            "evidence carries its times, and a clock that drifts from Asterisk's refuses consents in the call",
            "timedatectl set-ntp true (systemd-timesyncd or chrony)",
        )


def _watchdog(facts: Facts) -> Iterator[Problem]:
    unit = known(facts.here.unit)
    if not 0 < unit.watchdog_s <= WATCHDOG_S:
        yield warning(
            "systemd does not watch callguard" if not unit.watchdog_s else f"systemd waits {unit.watchdog_s:.0f} s",
            "a callguard that hangs holds callees and FastAGI calls, which have no lease, until it is killed",
            "WatchdogSec=2 and Restart=always in callguard.service (`callguard init` writes it), then systemctl "
            "daemon-reload and systemctl restart callguard",
        )


def _open_files(process: str, facts: Facts) -> Iterator[Problem]:
    limit = known(facts.here.open_files[process])
    if limit < FILES[process]:
        yield warning(
            f"{process} may have {limit} files open",
            "with many calls at once, the next one cannot be served",
            f"LimitNOFILE={max(FILES.values()) * 4} in {process}.service (systemctl edit {process}), then restart it",
        )


CHECKS = (
    Check("clock.agrees", "Asterisk's clock and this machine's agree", Severity.RISK, _agree),
    Check("clock.kept", "This machine's clock is kept by NTP", Severity.WARNING, _kept),
    Check("service.watchdog", "systemd kills and restarts a callguard that hangs", Severity.WARNING, _watchdog),
    Check(
        "limits.callguard", "callguard may open enough files", Severity.WARNING, lambda f: _open_files("callguard", f)
    ),
    Check("limits.asterisk", "Asterisk may open enough files", Severity.WARNING, lambda f: _open_files("asterisk", f)),
)
