"""The command `kindred`: what a reviewer and a maintainer ask of an experiment; the pipeline itself is Snakemake's."""

import argparse
import sys
from collections.abc import Sequence

from kindred.commands import provenance, prune, sizes, tags, verify
from kindred.errors import KindredError

COMMANDS = {"verify": verify, "provenance": provenance, "sizes": sizes, "prune": prune, "tags": tags}
COULD_NOT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; an error that a user can mend ends in one line and status 2."""
    parser = argparse.ArgumentParser(prog="kindred", description=(__doc__ or "").partition(": ")[2])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        text = (module.__doc__ or "").partition(": ")[2]
        command = commands.add_parser(
            name,
            help=text.partition("\n")[0].rstrip("."),
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except KindredError as error:
        print(f"kindred: {error}", file=sys.stderr)
        return COULD_NOT
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        sys.stderr.close()
        return 0
