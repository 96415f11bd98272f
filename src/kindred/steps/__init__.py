"""One thin command for each rule: read artefacts, call one library function, write an artefact."""

import signal
import sys

# The seconds in which a command imports its libraries: an interrupt ends it at once, without a traceback from the
# middle of an import. `job.run` takes over from there. (`python -m` puts this name while it imports the parents.)
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
