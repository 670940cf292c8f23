"""The commands of docs/install.md, carried out as they stand there on a machine with Debian's own Asterisk."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from callguard.setup.steps import RELOADS
from tests.setup.conftest import contents

REPOSITORY = Path(__file__).parent.parent
PAGE = REPOSITORY / "docs" / "install.md"
MACHINE = Path(__file__).with_name("machine.sh")
LIMIT_S = 120.0

STARTS_ASTERISK = """
asterisk -f -U asterisk -G asterisk >/dev/null 2>&1 &
until [[ $(asterisk -rx 'core waitfullybooted') == *'fully booted'* ]]; do sleep 0.1; done
"""
WRITES_THE_TEXTS = r"""
sed --in-place --regexp-extended 's/^# ([a-z_]+ = )""/\1"nothing"/' /etc/callguard/callguard.toml
"""
NEEDS_A_USER = """
code=0
said=$(callguard init --apply 2>&1) || code=$?
[[ $code = 2 && $said == *"there is no user callguard, and nothing is changed; first: useradd "* ]]
"""
RUNS = """
runuser -u callguard -- callguard run --config /etc/callguard/callguard.toml >/srv/log 2>&1 &
gate=$!
until grep --quiet serving /srv/log; do kill -0 "$gate" || { cat /srv/log; exit 1; }; sleep 0.1; done
[[ $(asterisk -rx 'dialplan show x0091@callguard-emergency') == *"'x0091'"* ]]
"""
LOOKS_AT_RIGHTS = """
for file in callguard.toml ari.secret ami.secret master.key asterisk/ari.conf asterisk/manager.conf; do
  if runuser -u nobody -- cat "/etc/callguard/$file" >/dev/null 2>&1; then exit 1; fi
done
user=$(stat -c %u /var/spool/callguard)
group=$(stat -c %g /etc/asterisk)
setpriv --reuid="$user" --regid="$group" --clear-groups sh -c 'umask 0007; echo x >/var/spool/callguard/x'
runuser -u callguard -- sh -c 'echo y >>/var/spool/callguard/x; rm /var/spool/callguard/x; touch /var/lib/callguard/x'
if runuser -u callguard -- touch /etc/callguard/callguard.toml 2>/dev/null; then exit 1; fi
"""
STOPS = """
kill "$gate"
wait "$gate" || [ $? = 143 ]
"""


def blocks() -> dict[str, list[str]]:
    """The page's commands for a console, by the heading that they stand under."""
    found: dict[str, list[str]] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading = part.partition("\n")[0]
        found[heading] = re.findall(r"(?ms)^```console\n(.*?)^```", part)
    return found


async def on_a_machine(debian: Path, work: Path, commands: str) -> str:
    """What the commands say, to the last; they have to succeed, each of them."""
    # Its folders are entered by other users than ours.
    work.chmod(0o755)
    environment = {
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"], "DEBIAN": str(debian), "WORK": str(work), "BIN": str(Path(sys.executable).parent),
        "KEEP": f"{sys.prefix} {sys.base_prefix} {REPOSITORY}",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig=KILL", "--", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
        "--mount-proc", "bash", str(MACHINE),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate(commands.encode())
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said.decode(errors="replace")[-4_000:]
    return said.decode(errors="replace")


async def test_the_page_installs_upgrades_and_uninstalls(debian: Path, tmp_path: Path) -> None:
    page = blocks()
    writes, applies = page["Install"]
    before = contents(debian)
    commands = [
        STARTS_ASTERISK, writes, WRITES_THE_TEXTS, NEEDS_A_USER, applies, RUNS, LOOKS_AT_RIGHTS, *page["Upgrade"],
        STOPS, *page["Uninstall"], "asterisk -rx 'core stop now'\n",
    ]  # fmt: skip
    if os.geteuid() != 0:  # namespaces are root's: at least a shell takes the commands
        await asyncio.to_thread(subprocess.run, ["bash", "-n"], input="".join(commands), text=True, check=True)
        return
    told = await on_a_machine(debian.parent.parent, tmp_path, "".join(commands))
    assert "Asterisk's own files need no change." in told
    after = contents(tmp_path / "etc" / "asterisk")
    assert {name: data for name, data in after.items() if not name.endswith(".before-callguard")} == before
    assert sum(name.endswith(".before-callguard") for name in after) == 5


def test_the_page_reloads_what_init_says() -> None:
    commands = [line for block in blocks()["Install"] for line in block.splitlines()]
    assert [line for line in commands if line.startswith("asterisk")] == [f"asterisk -rx '{each}'" for each in RELOADS]
