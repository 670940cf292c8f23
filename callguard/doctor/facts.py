"""What was found out about a PBX and this machine. Nothing here judges; what could not be found out says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias, TypeVar

from callguard.config import Config
from callguard.registry.standing import Standing
from callguard.store.right_records import Due

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be had, because …"""

    because: str


class NotKnown(Exception):
    """A check needs a fact that could not be had."""


Known: TypeAlias = T | Unknown


def known(fact: T | Unknown) -> T:
    """The fact. Raises: NotKnown, with the reason."""
    if isinstance(fact, Unknown):
        raise NotKnown(fact.because)
    return fact


@dataclass(frozen=True, slots=True)
class Module:
    """One of Asterisk's modules. `uses` is how many others, and calls, hold it."""

    running: bool
    uses: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a configuration file, templates and includes resolved, as Asterisk reads it."""

    name: str
    lines: tuple[tuple[str, str], ...]

    def get(self, key: str) -> str:
        """The last line of a key, as Asterisk takes it; empty where there is none."""
        return next((text for name, text in reversed(self.lines) if name.lower() == key), "")

    def on(self, key: str) -> bool:
        """Whether a key is what Asterisk takes for true (utils.c, ast_true)."""
        return self.get(key).lower() in {"yes", "true", "y", "t", "1", "on"}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file; no sections where it is missing."""

    sections: tuple[Section, ...] = ()

    def section(self, name: str) -> Section:
        """All sections of a name in one, as `[name](+)` means it; an empty one where there is none."""
        return Section(name, tuple(line for one in self.sections if one.name == name for line in one.lines))


@dataclass(frozen=True, slots=True)
class Step:
    """One priority of the dialplan that is loaded."""

    context: str
    extension: str
    priority: str
    app: str
    data: str

    @property
    def where(self) -> tuple[str, str]:
        return self.context, self.extension

    @property
    def place(self) -> str:
        return f"{self.extension}@{self.context}, priority {self.priority}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A PJSIP endpoint. `tells_changes`: it sends a name that changes in a call (send_pai or send_rpid)."""

    name: str
    dtmf_mode: str
    redirect_method: str
    one_touch_recording: bool
    tells_changes: bool


@dataclass(frozen=True, slots=True)
class Ari:
    """Asterisk by ARI.

    Attributes:
        version: as Asterisk says it.
        may_write: whether the account is more than read_only.
        modules: by name, ``.so`` included.
        apps: the applications that are connected, ours for this look left out.
        others_looking: how many of them are another doctor's.
        ahead_ms: Asterisk's clock less this machine's, the way of the answer taken into account.
    """

    version: str
    may_write: bool
    modules: Known[Mapping[str, Module]]
    apps: frozenset[str]
    ahead_ms: float
    others_looking: int = 0


@dataclass(frozen=True, slots=True)
class Ami:
    """Asterisk by AMI.

    Attributes:
        actions: those that our account may order.
        sessions: of our account, this look's left out.
        files: configuration files that Asterisk read for us, by name.
        globals: dialplan globals, by name; empty where they are not set.
        features: the codes of Asterisk's own features in force, and those within an attended transfer, by name; empty
            where there is none.
        steps: the dialplan.
        endpoints: of PJSIP.
        freepbx: what FreePBX keeps of its extensions in AstDB, by ``EXTENSION/setting``; empty where it is none.
        exists: whether the dialplan has a place, by ``context,extension,priority``, as far as it was asked.
    """

    actions: frozenset[str]
    sessions: Known[int]
    files: Mapping[str, Known[ConfigFile]]
    globals: Mapping[str, Known[str]]
    features: Mapping[str, Known[str]]
    steps: Known[tuple[Step, ...]]
    endpoints: Known[tuple[Endpoint, ...]]
    exists: Mapping[str, Known[bool]]
    freepbx: Known[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Tried:
    """What Asterisk itself did, in a channel that was never answered.

    Attributes:
        emergency: what became of a dial of each number in [callguard-emergency]: ``emergency`` where it passes.
        events: the events that reached our account while a recording and user events were tried; a user event by its
            own name.
        sounds: by its path in Asterisk, whether a prompt opened.
        recorded: the file that Asterisk wrote into the recordings' folder.
    """

    emergency: Known[Mapping[str, str]]
    events: Known[frozenset[str]]
    sounds: Known[Mapping[str, bool]]
    recorded: Known[Recorded]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file that Asterisk wrote: whether it was seen here, may be read and removed by us, and its mode bits."""

    seen: bool
    readable: bool = False
    removable: bool = False
    mode: int = 0


@dataclass(frozen=True, slots=True)
class RecordingFolder:
    """The recordings' folder, here.

    Attributes:
        mode: its permission bits, setgid included.
        writable: by us.
        free_bytes: for us.
        day_bytes: what was recorded there in a day, on the average of the last seven.
    """

    mode: int
    writable: bool
    free_bytes: int
    day_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """What the recordings' folder lies on.

    Attributes:
        safe: who takes the disk away cannot read it.
        lasts: what is there outlives a power cut.
    """

    what: str
    safe: bool
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Unit:
    """What systemd says of callguard's service. `watchdog_s` is 0 without one."""

    active: bool
    watchdog_s: float


class Answer(Enum):
    """How callguard's own page answered."""

    SERVING = auto()
    ILL = auto()
    """It says itself that calls are not gated."""
    NONE = auto()
    """Somebody listens and says nothing in time."""
    NOBODY = auto()
    """Nobody listens."""
    ANOTHER = auto()
    """What answers is no callguard."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What `/health` said; `problem` and `do` are callguard's own words where it is ill."""

    answer: Answer
    problem: str = ""
    do: str = ""


class StoreIs(Enum):
    """Why the store cannot be used, as far as that decides how to mend it."""

    MISSING = auto()
    CLOSED = auto()
    """We may not read it, or not write to it or its folder."""
    DAMAGED = auto()
    """It is no database, or not a whole one."""
    ANOTHER = auto()
    """Of another schema or program, or locked; the text says it."""


@dataclass(frozen=True, slots=True)
class StoreFault:
    """What is wrong with the store, in words, and of what kind it is."""

    what: str
    kind: StoreIs


@dataclass(frozen=True, slots=True)
class ClearRows:
    """How many rows of the store hold a number, a name or words in the clear.

    Attributes:
        to_clean: none does, and pages of its file may still hold some of before.
    """

    count: int = 0
    to_clean: bool = False


@dataclass(frozen=True, slots=True)
class Here:
    """This machine.

    Attributes:
        prompts: what is wrong with the prompts; empty where nothing is.
        store: what is wrong with the store; None where nothing is.
        folder: the recordings' folder.
        synchronised: whether the kernel's clock is kept by NTP.
        unit: callguard's service.
        health: what callguard says of itself.
        open_files: how many files callguard may have open, and Asterisk, by process name.
        registries: how the list of each registry stands.
        ledger_key: what is wrong with the key that signs the ledger; empty where nothing is, or it is not made yet.
        keys: what is wrong with the master keys; empty where nothing is, or there are none.
        disk: what the recordings' folder lies on.
        clear_files: how many files of kept recordings are not encrypted.
        unknown_members: who has a role, and is no user or group of this machine.
        clear_rows: what is not encrypted in the store, where there are keys.
        backup_age_h: of the youngest backup in `[backup] folder`, in hours; None where there is none, or no folder.
        requests: of people, that are not answered.
    """

    prompts: str
    store: StoreFault | None
    folder: Known[RecordingFolder]
    synchronised: Known[bool]
    unit: Known[Unit]
    health: Known[Answered]
    open_files: Mapping[str, Known[int]]
    registries: tuple[Standing, ...]
    keys: str
    disk: Known[Disk]
    clear_files: Known[int]
    clear_rows: Known[ClearRows]
    ledger_key: str = ""
    unknown_members: tuple[str, ...] = ()
    backup_age_h: Known[float | None] = None
    requests: Known[Due] = field(default_factory=Due)


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. `marker` is what the dialplan that came with this callguard carries, `shipped` its steps."""

    config: Config
    ari: Known[Ari]
    ami: Known[Ami]
    tried: Tried
    here: Here
    marker: str
    shipped: tuple[Step, ...]
