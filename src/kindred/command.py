"""The command `kindred`: what a reviewer and a maintainer ask of an experiment; the pipeline itself is Snakemake's."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kindred.commands import provenance, prune, sizes, tags, verify
from kindred.errors import KindredError, file_errors

COMMANDS = {"verify": verify, "provenance": provenance, "sizes": sizes, "prune": prune, "tags": tags}
ROOT_FILES = ("params.yaml", "Snakefile")
COULD_NOT = 2
INTERRUPTED = 130


def refuse_other_folders(folder: Path) -> None:
    """See that the command runs where the project's paths begin.

    Raises:
        KindredError: the folder is not the root of a project; the message names the root if it lies above.
    """
    if all((folder / name).is_file() for name in ROOT_FILES):
        return
    above = [
        parent for parent in folder.resolve().parents if all((parent / name).is_file() for name in ROOT_FILES)
    ]
    advice = f"cd {above[0]}" if above else "change into the folder of the project"
    raise KindredError(
        f"{folder.resolve()} does not hold {' and '.join(ROOT_FILES)}: {advice}, and run again"
    )


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
        with file_errors():
            refuse_other_folders(Path())
            return int(chosen.run(chosen))
    except KindredError as error:
        print(f"kindred: {error}", file=sys.stderr)
        return COULD_NOT
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has had enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("kindred: interrupted", file=sys.stderr)
        return INTERRUPTED
