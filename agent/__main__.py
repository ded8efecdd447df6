"""`compute-agent`: the daemon's entry."""

from __future__ import annotations


def main() -> None:
    from agent.service import run_from_command_line

    run_from_command_line()


if __name__ == "__main__":
    main()
