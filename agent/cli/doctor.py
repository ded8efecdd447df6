"""`agent-cli doctor`: the checks of this host, as a table, and the removal of what is nobody's.

The only command that isn't about the broker alone, and that is run on the agent's own host.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from agent.cli import exit_codes
from agent.cli.app import App, Session, options, session_of

if TYPE_CHECKING:
    from agent.cli.output import Output
    from agent.doctor.finding import Finding

_COLOURS = {"ok": "green", "not checked": "cyan", "warning": "yellow", "broken": "bold red"}


@click.command("doctor", short_help="Find out what is wrong with this host, and how to mend it.")
@click.option(
    "--remove",
    "wanted",
    multiple=True,
    metavar="KIND:ID",
    help="Remove an orphan, as the check of orphans names it, in place of checking. May be given several times.",
)
@click.option("--yes", is_flag=True, help="Don't ask before removing.")
@options(host=False, timeout=False)
@click.pass_context
def doctor(ctx: click.Context, /, wanted: tuple[str, ...], yes: bool, **common: Any) -> int:
    """Find out what is wrong with this host, and how to mend it.

    Runs on the agent's host, whether the agent runs or not, best as root; changes nothing but what --remove names.
    Exit code 0: all is well; 19: warnings, or something that couldn't be checked; 20: something is broken.
    """
    from agent.settings_errors import SettingsError

    try:
        session = session_of(ctx, common)
    except SettingsError as error:
        if wanted:
            raise
        return _without_settings(ctx, error)
    return _remove(session, wanted, yes) if wanted else _check(session)


def _check(session: Session) -> int:
    from agent.doctor.checks import examine
    from agent.doctor.finding import ok

    settings = ok(f"host {session.host}, state_dir {session.settings.state_dir}")
    found = asyncio.run(examine(session.settings))
    return _report(session.out, (settings.model_copy(update={"check": "settings"}), *found))


def _without_settings(ctx: click.Context, error: Exception) -> int:
    from agent.cli.output import Output
    from agent.doctor.checks import CHECKS
    from agent.doctor.finding import broken, unchecked

    app = ctx.find_object(App) or App()
    wrong = broken(str(error), "mend them; the reference of settings has them all")
    rest = unchecked("the settings can't be read")
    return _report(
        Output(app.as_json),
        (
            wrong.model_copy(update={"check": "settings"}),
            *(rest.model_copy(update={"check": entry.name}) for entry in CHECKS),
        ),
    )


def _report(out: Output, findings: tuple[Finding, ...]) -> int:
    from agent.doctor.finding import Verdict, report, worst

    if out.as_json:
        out.data(report(findings))
    else:
        _print(findings)
    verdict = worst(findings)
    if verdict is Verdict.OK:
        return exit_codes.OK
    return exit_codes.BROKEN if verdict is Verdict.BROKEN else exit_codes.DOUBTFUL


def _print(findings: tuple[Finding, ...]) -> None:
    """A line for each finding, and its mend below it."""
    from rich.console import Console
    from rich.text import Text

    from agent.cli.output import printable

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else 10_000, markup=False, highlight=False)
    for finding in findings:
        line = Text(f"{finding.verdict:<12}", style=_COLOURS[finding.verdict])
        line.append(f"{finding.check:<12}", style="bold")
        line.append(printable(finding.says), style="default")
        console.print(line, soft_wrap=True)
        if finding.mend:
            console.print(Text(f"{'':24}-> {printable(finding.mend)}", style="dim"), soft_wrap=True)


def _remove(session: Session, wanted: tuple[str, ...], yes: bool) -> int:
    """One after the other; the first that can't be removed ends it."""
    try:
        from agent.doctor.remaining import remove
    except ImportError as missing:
        raise click.UsageError(
            f"--remove needs the package {missing.name}: run it where the agent is installed"
        ) from missing
    from agent.doctor.finding import CantCheck

    for name in wanted:
        if not yes:
            _confirm(name)
        try:
            done = asyncio.run(remove(session.settings, name))
        except CantCheck as cant:
            raise click.UsageError(f"{cant}{f'; {cant.mend}' if cant.mend else ''}") from cant
        session.out.line({"removed": name}, done)
    return exit_codes.OK


def _confirm(name: str) -> None:
    """Raises click.Abort, or UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to be asked: give --yes if you mean it")
    click.confirm(f"Remove {name} for good?", abort=True, err=True)
