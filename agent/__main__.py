"""`compute-agent`: the daemon's entry.

compute-agent                        run until SIGTERM
compute-agent --check-config         say whether the settings are right, and end
compute-agent --print-default-config every setting with its meaning and default, as TOML
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.standard_streams import open_standard_streams


def main() -> None:
    open_standard_streams()
    asked = _parse()
    if asked.config is not None:
        os.environ["COMPUTE_AGENT_CONFIG"] = str(asked.config)
    sys.exit(_run(asked))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compute-agent", description="The compute agent's daemon.")
    parser.add_argument("--config", type=Path, help="settings file instead of /etc/compute-agent/agent.toml")
    parser.add_argument("--check-config", action="store_true", help="check the settings and end")
    parser.add_argument("--print-default-config", action="store_true", help="print all settings as TOML and end")
    return parser.parse_args()


def _run(asked: argparse.Namespace) -> int:
    if asked.print_default_config:
        from agent.settings_doc import default_config

        print(default_config())
        return 0
    from agent.settings_errors import SettingsError, read

    try:
        settings = read()
    except SettingsError as error:
        print(f"compute-agent: {error}", file=sys.stderr)
        return 2
    if asked.check_config:
        print(f"compute-agent: the settings are right; host {settings.host}, state in {settings.state_dir}")
        return 0
    try:
        from agent.daemon import run_daemon
    except ModuleNotFoundError as missing:
        # The bare install has this command too, but only what the command line needs.
        print(f"compute-agent: {missing.name} isn't installed: install compute-agent[daemon]", file=sys.stderr)
        return 2
    return run_daemon(settings)


if __name__ == "__main__":
    main()
