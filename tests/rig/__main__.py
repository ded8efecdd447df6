"""A rig that stays until it is told to go, for demos and for trying things by hand.

python -m tests.rig up DIR      start it; DIR/rig.env and DIR/rig.json then say how to reach it
python -m tests.rig down DIR    end every guest and daemon of it; DIR stays, with the logs
"""

import argparse
import sys
from pathlib import Path

from tests.rig.processes import RigError
from tests.rig.rig import Rig


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["up", "down"])
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    rig = Rig(arguments.directory)
    try:
        if arguments.verb == "up":
            rig.start(detached=True)
            rig.write_description()
        else:
            rig.stop()
    except RigError as error:
        sys.stderr.write(f"rig: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
