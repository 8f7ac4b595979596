"""The command line: which commands there are, and how each ends.

What a command does is in a module of its own, imported when it is named: ``simam-edu --help`` loads no torch.
"""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {  # name: module, help
    "train": ("cli_study", "train one network and test it once"),
    "sweep": ("cli_study", "run a grid of networks, modules and seeds, and go on with it"),
    "report": ("cli_study", "turn records into tables and plots"),
    "bench": ("cli_bench", "time SimAM beside other modules, on a quiet machine"),
    "kernels": ("cli_bench", "build the native kernel of SimAM, once for this machine"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    It is 0, 1 if runs failed, 2 for a mistake that is named, and as in a shell 128 and the number of the
    signal that ended it: 130 for Ctrl-C, 143 for SIGTERM.
    """
    options = argparse.Namespace(kept="nothing was begun")
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        from simam_edu.training.distributed import read_world
        from simam_edu.training.interruption import signals_interrupt

        # Of several processes torchrun ends all; each by itself could only wait for the others.
        with contextlib.nullcontext() if read_world(os.environ).size > 1 else signals_interrupt():
            # A command that can fail in part returns its status, the others return nothing.
            return int(options.run(options) or 0)
    except KeyboardInterrupt as interruption:
        print(f"simam-edu: interrupted; {options.kept}", file=sys.stderr)
        return 128 + int(interruption.args[0] if interruption.args else signal.SIGINT)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
        print(f"simam-edu: {error}", file=sys.stderr)
        return 2


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; only the command that is named gets its own."""
    parser = argparse.ArgumentParser(prog="simam-edu", description="Train networks with and without SimAM.")
    # A command says, as soon as it knows, what is kept of it when it is interrupted.
    parser.set_defaults(kept="nothing is kept")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (module, told) in COMMANDS.items():
        command = commands.add_parser(name, help=told, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name in arguments[:1]:
            import_module(f"simam_edu.{module}").add_options(name, command)
    return parser.parse_args(arguments)


if __name__ == "__main__":  # the runs of a sweep are started as python -m simam_edu.cli
    sys.exit(main())
