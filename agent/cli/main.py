"""`agent-cli`: the entry.

The overview is printed from a static table, without click: it is what people and shells ask for most, and
then it costs little more than the interpreter.
"""

from __future__ import annotations

import os
import sys

from agent.cli.catalogue import help_text

_COMPLETION = "_AGENT_CLI_COMPLETE"


def main() -> None:
    if sys.argv[1:] == ["--help"] and _COMPLETION not in os.environ:
        sys.stdout.write(help_text())
        return
    from agent.cli.root import cli

    cli.main(prog_name="agent-cli", complete_var=_COMPLETION)


if __name__ == "__main__":
    main()
