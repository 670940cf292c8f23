"""A container engine of the test's own: Podman with its storage in one folder, which goes with the test."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import select
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from callguard.errors import SetupError

ROOT = Path(__file__).parent.parent.parent
COMPOSE = ROOT / "docker" / "compose.yaml"
PROJECT = "callguard"
# crun 1.8 refuses machines that mount both generations of cgroups; runc takes them. Podman's own limits may be more
# than is ours to give: a root without CAP_SYS_RESOURCE raises none. What is set here must be what Podman hands on to
# the process that cleans up after a container (tmp_dir and volume_path are, lock_type and static_dir are not).
FILES, PROCESSES = 16_384, 4_096
CONTAINERS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


# What a service of the compose file may say, and Podman's option for it. What is not here is refused rather than left
# out, so that the file says nothing that was not run.
OPTIONS: Final[Mapping[str, Callable[[Any], list[str]]]] = {
    "image": lambda name: [],
    "build": lambda how: [],
    "depends_on": lambda services: [],
    "profiles": lambda names: [],
    "entrypoint": lambda command: ["--entrypoint", json.dumps(command)],
    "user": lambda name: ["--user", name],
    "network_mode": lambda mode: ["--network", mode],
    "read_only": lambda yes: ["--read-only"] if yes else [],
    "init": lambda yes: ["--init"] if yes else [],
    "restart": lambda policy: ["--restart", policy],
    "stop_grace_period": lambda time: ["--stop-timeout", time.removesuffix("s")],
    "tmpfs": lambda folders: [word for folder in folders for word in ("--tmpfs", folder)],
    "volumes": lambda mounts: [word for mount in mounts for word in ("--volume", mount)],
    "cap_drop": lambda names: [word for name in names for word in ("--cap-drop", name)],
    "cap_add": lambda names: [word for name in names for word in ("--cap-add", name)],
    "security_opt": lambda names: [word for name in names for word in ("--security-opt", name)],
    "healthcheck": lambda check: ["--health-cmd", check["test"], "--health-timeout", check["timeout"]],
}


def options(service: Mapping[str, Any], project: str) -> list[str]:
    """Podman's options for a service of the compose file, on volumes of the project's own."""
    named = {**service, "volumes": [f"{project}_{mount}" for mount in service["volumes"]]}
    return [word for name, value in named.items() for word in OPTIONS[name](value)]


def container(service: str, project: str = PROJECT) -> str:
    """A service's container, as Docker names it."""
    return f"{project}-{service}-1"


def services() -> dict[str, dict[str, Any]]:
    """The services of docker/compose.yaml (read by Debian's python3-yaml; Podman's own compose 1.0 knows no
    ``network_mode: host``)."""
    read = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    done = subprocess.run(["/usr/bin/python3", "-c", read], input=COMPOSE.read_bytes(), capture_output=True, check=True)
    file = json.loads(done.stdout)
    assert file["name"] == PROJECT
    found: dict[str, dict[str, Any]] = file["services"]
    return found


class Engine:
    """Podman, with everything of its own in `folder`.

    Attributes:
        compose: the services of docker/compose.yaml.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compose = services()
        files = min(FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        processes = min(PROCESSES, resource.getrlimit(resource.RLIMIT_NPROC)[1])
        # No registry is named, so an image that is not here is not looked for elsewhere.
        for name, text in (
            ("containers.conf", CONTAINERS.format(folder=folder, files=files, processes=processes)),
            ("storage.conf", STORAGE.format(folder=folder)),
            ("registries.conf", "unqualified-search-registries = []\n"),
        ):
            (folder / name).write_text(text, encoding="utf-8")
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
            # The tests ask for a container's health themselves.
            "DISABLE_HC_SYSTEMD": "true",
        }

    def podman(self, *arguments: str, seconds: float = 60) -> str:
        """What a Podman command prints.

        Raises:
            SetupError: it failed; the text has its last words.
        """
        return self._run(["podman", *arguments], seconds)

    def up(self, service: str, project: str = PROJECT, network: str | None = None) -> str:
        """Start one service of docker/compose.yaml; its container's name, the one that Docker would give it.

        Args:
            project: whose volumes it has, as `docker compose --project-name` says it.
            network: another one than the file says, so that what listens is none of this machine's.
        """
        name = container(service, project)
        asked = self.compose[service] | ({} if network is None else {"network_mode": network})
        self.podman("run", "--detach", "--name", name, *options(asked, project), asked["image"])
        return name

    def once(self, service: str, *command: str, project: str = PROJECT, seconds: float = 120) -> str:
        """What `docker compose run --rm SERVICE COMMAND` prints."""
        asked = {name: value for name, value in self.compose[service].items() if name != "restart"}
        return self.podman("run", "--rm", *options(asked, project), asked["image"], *command, seconds=seconds)

    async def said(self, *arguments: str) -> str:
        """What a Podman command prints, beside calls that go on; the text of a failure too."""
        process = await asyncio.create_subprocess_exec(
            "podman", *arguments, env=self._environment, cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return output.decode(errors="replace")

    def build(self, name: str, dockerfile: Path, context: Path, *options: str) -> None:
        """Build an image in a plain chroot, as machines without cgroups of their own can."""
        self.podman("build", "--isolation", "chroot", "--tag", name, "--file", str(dockerfile), *options,
                    str(context), seconds=900)  # fmt: skip

    def import_base(self, name: str, tar: Path) -> None:
        self.podman("import", str(tar), name, seconds=120)

    def volume(self, name: str, project: str = PROJECT) -> Path:
        """Where the files of one of the compose file's volumes are, seen from here."""
        return self.folder / "volumes" / f"{project}_{name}" / "_data"

    def log(self, container: str) -> str:
        """What a container has said on both of its streams."""
        done = subprocess.run(
            ["podman", "logs", container], env=self._environment, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=60, check=False,
        )  # fmt: skip
        return done.stdout

    def pid(self, container: str) -> int:
        """A container's first process, as this machine counts; 0 while there is none."""
        (state,) = json.loads(self.podman("inspect", container))
        pid: int = state["State"]["Pid"]
        return pid

    def close(self) -> None:
        """End the containers that were started here and let go of the storage, so that the folder can be removed."""
        self.podman("rm", "--all", "--force", "--time", "1")
        # What cleans up after a container may come later, and mounts the storage again.
        while left := [process for process in Path("/proc").glob("[0-9]*") if self._serves_us(process)]:
            for process in left:
                self._wait(int(process.name))
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", mount], check=True, timeout=60)

    def _serves_us(self, process: Path) -> bool:
        try:
            return f"{self.folder}/".encode() in (process / "cmdline").read_bytes()
        except OSError:  # it is gone
            return False

    @staticmethod
    def _wait(pid: int) -> None:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            assert select.select([process], [], [], 60)[0], f"process {pid} of a container goes on"
        finally:
            os.close(process)

    def _run(self, command: list[str], seconds: float) -> str:
        done = subprocess.run(
            command, env=self._environment, cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
        if done.returncode:
            last = " / ".join((done.stdout + done.stderr).splitlines()[-5:])
            raise SetupError(f"{' '.join(command[:2])} failed: {last}")
        return done.stdout
