from pathlib import Path

import click
import pytest

from agent.cli import exit_codes
from agent.cli.reference import reference
from agent.cli.root import cli
from agent.rpc.schema import METHODS

PAGE = Path(__file__).parents[3] / "docs/reference/cli.md"


def test_the_reference_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == reference(), "run: python -m agent.cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_on_the_page(method: str) -> None:
    assert f"### `agent-cli send {method}" in reference()


def test_every_exit_code_is_on_the_page() -> None:
    for number in (*exit_codes.BY_CODE.values(), *exit_codes.MEANINGS):
        assert f"\n| {number} | " in reference()


def test_every_option_is_explained_here_or_by_its_name() -> None:
    """Options of our own have a help text; those of the schema have its docstring, if it has one."""
    with click.Context(cli) as ctx:
        for name in cli.list_commands(ctx):
            command = cli.get_command(ctx, name)
            assert command is not None
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    assert parameter.help
