"""What administrators type. Each command is thin; errors are one line, and the exit code tells whose fault it was."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.main import get_command

from callguard import __version__
from callguard.cli import (
    agent,
    audit,
    calls,
    grant,
    incidents,
    keys,
    ledger,
    optout,
    policy,
    prompts,
    recordings,
    registry,
    report,
    request,
    subject,
    subject_rights,
)
from callguard.cli.access import guard
from callguard.cli.backup import backup, restore
from callguard.cli.check import check
from callguard.cli.complaint import complaint
from callguard.cli.doctor import doctor
from callguard.cli.init import init
from callguard.cli.options import EXIT_BAD_INPUT, EXIT_DENIED, EXIT_FAILED
from callguard.cli.reconcile import reconcile
from callguard.cli.run import run
from callguard.errors import CallguardError, Denied, InputError

app = typer.Typer(
    help="The consent gate for Asterisk.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
app.add_typer(prompts.app, name="prompts")
app.add_typer(optout.app, name="optout")
app.add_typer(grant.app, name="grant")
app.add_typer(registry.app, name="registry")
app.add_typer(policy.app, name="policy")
app.add_typer(calls.app, name="calls")
app.add_typer(recordings.app, name="recordings")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(incidents.app, name="incidents")
app.add_typer(agent.app, name="agent")
app.add_typer(ledger.app, name="ledger")
app.add_typer(subject.app, name="subject")
subject.app.command("erase")(subject_rights.erase)
subject.app.command("rectify")(subject_rights.rectify)
app.add_typer(request.app, name="request")
app.add_typer(report.app, name="report")
app.command()(run)
app.command()(check)
app.command()(backup)
app.command()(restore)
app.command()(complaint)
app.command()(init)
app.command()(doctor)
app.command()(reconcile)


# What Typer raises for a bad command line, which it exports this one kind of.
USAGE_ERROR = cast(type[typer.BadParameter], typer.BadParameter.__bases__[0])


def main() -> None:
    """Run a command; a problem is one line on standard error."""
    try:
        command = get_command(app)
        guard(command)
        sys.exit(command(standalone_mode=False))
    except typer.Abort:
        sys.exit(_say("stopped, nothing is done", EXIT_FAILED))
    except USAGE_ERROR as error:
        problem = _usage(error)
        sys.exit(_say(problem, EXIT_BAD_INPUT) if problem else EXIT_BAD_INPUT)
    except InputError as error:
        sys.exit(_say(str(error), EXIT_BAD_INPUT))
    except Denied as error:
        sys.exit(_say(str(error), EXIT_DENIED))
    except CallguardError as error:
        sys.exit(_say(str(error), EXIT_FAILED))
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"callguard {__version__}")
        raise typer.Exit


@app.command()
def demo(
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the table as an image.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the PBX up for a softphone until Ctrl-C.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CALL", help="This call alone, by its name in the table; may be repeated."),
    ] = None,
) -> None:
    """Start a private Asterisk, make real SIP calls through it, and show what happened."""
    from callguard.demo.run import chosen, run_demo
    from callguard.demo.tree import find

    for file, option in ((json_file, "--json"), (svg_file, "--svg")):
        if file is not None and not os.access(file.absolute().parent, os.W_OK):
            raise InputError("there is no such folder, or it cannot be written to", file=file, field=option)
    calls = chosen(only or ())
    if not asyncio.run(run_demo(find(), calls, json_file=json_file, svg_file=svg_file, keep=keep)):
        raise typer.Exit(EXIT_FAILED)


def _usage(error: typer.BadParameter) -> str:
    """What is wrong with a command line, in one line; empty where the help that it asked for is shown already."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    said = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return f"{said}: see {error.ctx.command_path if error.ctx else 'callguard'} --help"


def _say(line: str, code: int) -> int:
    typer.echo(f"callguard: {line}", err=True)
    return code
