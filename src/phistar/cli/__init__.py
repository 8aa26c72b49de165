"""The command `phistar`: train, evaluate and look at models without writing Python.

exit status: 0 done; 1 an error of phistar's; 2 a mistake in the command; 130 stopped by Ctrl-C;
143 and 138 stopped by SIGTERM and SIGUSR1
"""

import os
import sys
from collections.abc import Sequence

from phistar.cli.parsing import parse
from phistar.errors import PhistarError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. PHISTAR_DEBUG=1 shows tracebacks."""
    try:
        args = parse(sys.argv[1:] if argv is None else list(argv))
        args.run(args)
    except KeyboardInterrupt as stopped:
        return failed(str(stopped) or "stopped by Ctrl-C", getattr(stopped, "status", 130))
    except BrokenPipeError:  # the reader of our output has gone, as in `phistar show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except PhistarError as error:
        if os.environ.get("PHISTAR_DEBUG", "0") not in ("", "0"):
            raise
        return failed(str(error), 2 if isinstance(error, UsageError) else 1)
    return 0


def failed(message: str, status: int) -> int:
    print(f"phistar: {message}", file=sys.stderr)
    return status
