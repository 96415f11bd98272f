"""One thin command for each rule: read artefacts, call one library function, write an artefact."""

import os
import signal
import sys

from kindred.arithmetic import set_from_command_line

# Python puts "-m" in place of the program's name while `python -m kindred.steps.NAME` imports the parents of NAME.
if sys.argv[0] == "-m":
    set_from_command_line(sys.argv, os.environ)
    # The seconds in which a command imports its libraries: an interrupt ends it at once, without a traceback from the
    # middle of an import. `job.run` takes over from there.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
