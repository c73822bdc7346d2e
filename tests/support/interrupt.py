"""Runs a command and kills it, with its children, at the first line that matches a pattern.

Usage: interrupt.py PATTERN COMMAND [ARGUMENT...]. Fails when the command ended before that.
"""

import os
import re
import signal
import subprocess
import sys


def main(pattern: str, *command: str) -> int:
    """Return 0 if the command was killed."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stdout or []:
        if re.search(pattern, line):
            # As if the controller had lost its power: nobody gets to tidy up.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"Killed at: {line.strip()}")
            return 0
        print(line, end="")
    print(f"Ended with {process.wait()} before a line matched {pattern!r}.")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
