"""What the gate counts, for Prometheus: numbers of calls and keys by what they meant, and never whose they were.

One `Metrics` belongs to one service and has a registry of its own. A leg's counters are looked up once for each profile
and direction, not with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from callguard.core import gate
from callguard.core.commands import Ask
from callguard.core.events import Answered, Cause
from callguard.core.incidents import Incident
from callguard.core.model import Meaning, Outcome

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# Keys as a person understands them; what no Ask wanted just then is "other".
MEANINGS: Final = {
    Meaning.GIVE: "yes",
    Meaning.REFUSE: "no",
    Meaning.DETAILS: "details",
    Meaning.REPEAT: "repeat",
    Meaning.LANGUAGE: "language",
    Meaning.OPT_OUT: "optout",
    Meaning.REQUEST: "request",
}
FIRST_SOUND_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
KEY_TO_OUTCOME_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
COMMIT_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
NAMESPACE: Final = "callguard"
# The state of a leg that went on without us: its lease ended, or Asterisk's connection broke.
LOST: Final = "lost"

# A second series for each counter, to say when it began: nobody reads them, and they double the page.
disable_created_metrics()


@dataclass(frozen=True, slots=True)
class GateState:
    """How the gate is, at a moment; `list_ages` are in days, by registry and controller."""

    calls_in_gate: int
    calls_limit: int
    ari_connected: bool
    ami_connected: bool
    serving: bool
    recordings_expected: int
    recordings_overdue: int
    requests_overdue: int = 0
    requests_due_soon: int = 0
    list_ages: Mapping[tuple[str, str], float] = field(default_factory=dict)


class Metrics:
    """All counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        leg = ("direction", "profile")
        self.outcomes = self._counter(
            "outcomes", "Legs that left the gate, by state; lost went on without us.", *leg, "state"
        )
        self.keys = self._counter("keys", "Keys pressed in the gate, by meaning.", *leg, "meaning")
        self.early_keys = self._counter("early_keys", "Keys that did not count: too early, or not wanted.", *leg)
        self.hangups = self._counter("hangups_in_notice", "Hang-ups while the notice was played.", *leg)
        self.silences = self._counter("silences", "Questions that nobody answered in time.", *leg)
        self.unplayed = self._counter("prompts_failed", "Prompts that could not be played to their end.", *leg)
        self.first_sound = self._histogram(
            "first_sound_seconds", "From a call's arrival to the first prompt.", FIRST_SOUND_S, *leg
        )
        self.key_to_outcome = self._histogram(
            "key_to_outcome_seconds", "From the key that decided to the call given back.", KEY_TO_OUTCOME_S, *leg
        )
        self.commit = self._histogram(
            "store_commit_seconds", "From an answer to its commit on disk, waiting for its group included.", COMMIT_S
        )
        self.not_saved = self._counter(
            "store_failures", "Answers that could not be saved; their calls go on unrecorded."
        )
        self.dials = self._counter("dial_decisions", "Dial decisions, by the rule that decided.", "profile", "rule")
        self.orphans = self._counter("orphans", "Calls taken over from a process that left them.")
        self.refused = self._counter("refused_by_limit", "Calls not taken, as the gate was full.", "direction")
        self.reloads = self._counter("reloads", "Reloads of the configuration, by result.", "result")
        self.incidents = self._counter("incidents", "What somebody has to look into, by kind.", "kind")
        for kind in Incident:
            self.incidents.labels(kind.value)
        self._gauges = {
            name: Gauge(name, text, namespace=NAMESPACE, registry=self.registry)
            for name, text in {
                "calls_in_gate": "Calls that are being asked, and dial decisions in progress.",
                "calls_limit": "How many of them there may be.",
                "ari_connected": "1 while ARI is connected.",
                "ami_connected": "1 while the manager session is open.",
                "serving": "1 while calls are gated; else they go on unrecorded.",
                "recordings_expected": "Recordings of calls that still last, or whose end is not worked off.",
                "recordings_overdue": "Those whose call has ended and whose file could not be finished yet.",
                "requests_overdue": "What people asked for by right and should have been answered.",
                "requests_due_soon": "What is due within 7 days of it.",
            }.items()
        }
        self._list_age = Gauge(
            "registry_list_age_days",
            "How many days old a registry's list is, or the latest receipt for a controller; +Inf where there is none.",
            ["registry", "controller"],
            namespace=NAMESPACE,
            registry=self.registry,
        )
        self._legs: dict[tuple[str, str], LegMetrics] = {}

    def leg(self, direction: str, profile: str) -> LegMetrics:
        """The counters of a profile's legs."""
        found = self._legs.get((direction, profile))
        if found is None:
            found = self._legs[direction, profile] = LegMetrics(self, direction, profile)
        return found

    def text(self, state: GateState) -> bytes:
        """All of it, in Prometheus' text format."""
        for name, gauge in self._gauges.items():
            gauge.set(getattr(state, name))
        self._list_age.clear()
        for names, days in state.list_ages.items():
            self._list_age.labels(*names).set(days)
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, namespace=NAMESPACE, registry=self.registry, buckets=buckets)


class LegMetrics:
    """The counters of one profile and direction, looked up once."""

    def __init__(self, metrics: Metrics, direction: str, profile: str) -> None:
        labels = (direction, profile)
        self._outcomes = {state: metrics.outcomes.labels(*labels, state) for state in (*map(str, Outcome), LOST)}
        self._keys = {key: metrics.keys.labels(*labels, MEANINGS[meaning]) for key, meaning in gate.KEYS.items()}
        self._other = metrics.keys.labels(*labels, "other")
        self._early = metrics.early_keys.labels(*labels)
        self._hangups = metrics.hangups.labels(*labels)
        self._silences = metrics.silences.labels(*labels)
        self._unplayed = metrics.unplayed.labels(*labels)
        self._first_sound = metrics.first_sound.labels(*labels)
        self._key_to_outcome = metrics.key_to_outcome.labels(*labels)
        self._commit = metrics.commit
        self._not_saved = metrics.not_saved

    def asked(self, ask: Ask, answer: Answered) -> None:
        """An Ask has its answer."""
        if answer.dropped:
            self._other.inc(answer.dropped)
        match answer.cause:
            case Cause.KEY:
                self._keys.get(answer.keys, self._other).inc()
            case Cause.HANGUP if ask.prompts[0].id.endswith(("/essential", "/brief-essential")):
                self._hangups.inc()
            case Cause.SILENCE if ask.wait_ms:
                self._silences.inc()
            case Cause.FAILED:
                self._unplayed.inc()

    def sounded(self, ms: int) -> None:
        """The first prompt began so long after the call's arrival, by Asterisk's clock where it tells."""
        self._first_sound.observe(ms / 1000)

    def committed(self, seconds: float, early_keys: int) -> None:
        """What was answered is on the disk."""
        self._commit.observe(seconds)
        if early_keys:
            self._early.inc(early_keys)

    def not_saved(self) -> None:
        """What was answered could not be saved."""
        self._not_saved.inc()

    def left(self, outcome: str, since_key: float | None = None) -> None:
        """The call was given back, so many seconds after the key that decided, if one did; or it is `LOST`."""
        self._outcomes[outcome].inc()
        if since_key is not None:
            self._key_to_outcome.observe(since_key)
