"""How a process ends: what it prints, and its exit code."""

import sys
import traceback
from collections.abc import Callable

from melanoma_exp.spec import UserError
from melanoma_exp.system.disk import why_unwritable
from melanoma_exp.system.shown import printable


def exit_code(work: Callable[[], None]) -> int:
    """Does the work and prints how it ended.

    Returns:
        0; 2, or the error's own code, after a `UserError`, printed in one line each; 1 after any
        other error, printed with a traceback; 128 plus its number after a signal.
    """
    try:
        work()
        return 0
    except (UserError, OSError) as error:
        lines = error.lines if isinstance(error, UserError) else (why_unwritable(error),)
        if not any(lines):
            traceback.print_exc()
            return 1
        for line in lines:
            print(printable(line), file=sys.stderr)
        return error.code if isinstance(error, UserError) else 2
    except SystemExit:
        raise
    except BaseException as error:
        signum = getattr(error, "signum", 2 if isinstance(error, KeyboardInterrupt) else None)
        if signum is None:
            traceback.print_exc()
            return 1
        print("interrupted: what was logged so far is saved", file=sys.stderr)
        if sweep := getattr(error, "sweep", ""):
            print(f"resume with: melanoma-exp resume-sweep {sweep}", file=sys.stderr)
        elif message := getattr(error, "message", ""):
            print(message, file=sys.stderr)
        return 128 + signum
