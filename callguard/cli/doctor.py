"""``callguard doctor``: what is wrong with this PBX and how to mend it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from callguard import __version__, config
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption

if TYPE_CHECKING:
    from callguard.doctor.findings import Finding

WIDE = 10_000
STYLES = {"risk": "bold red", "warning": "yellow", "not_checked": "cyan", "ok": "green"}


def doctor(
    print_json: JsonOption = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show what is well, too.")] = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say what is wrong with this PBX and how to mend it. Exit code 1: calls are at risk."""
    from callguard.doctor.checks import judged
    from callguard.doctor.findings import Severity
    from callguard.doctor.probe import gather

    settings = config.load(path)
    with Console(stderr=True).status("Looking at Asterisk and this machine …"):
        findings = judged(asyncio.run(gather(settings)))
    counts = Counter(finding.severity for finding in findings)
    if print_json:
        report = {
            "callguard": __version__,
            "counts": {severity: counts[severity] for severity in Severity},
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _show([one for one in findings if show_all or one.severity is not Severity.OK])
        said = ", ".join(f"{counts[severity]} {_plain(severity)}" for severity in Severity if counts[severity])
        Console().print(f"{said}.", highlight=False)
    if counts[Severity.RISK]:
        raise typer.Exit(EXIT_FAILED)


def _show(findings: list[Finding]) -> None:
    # Paths and commands stay whole where they are copied or searched: only a terminal's lines are broken.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    for finding in findings:
        head = Text.assemble(
            (_plain(finding.severity), STYLES[finding.severity]), "  ", (finding.id, "bold"), "  ", finding.what
        )
        console.print(head)
        for label, text in (("why", finding.why), ("mend", finding.how)):
            if text:
                line = Text.assemble((f"{label}: ", "dim"), text.strip())
                console.print(Padding(line, (0, 0, 0, 4), expand=False) if console.is_terminal else Text("    ") + line)


def _plain(severity: str) -> str:
    return severity.replace("_", " ")
