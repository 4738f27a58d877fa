"""What web3.py's checks share: the chain, named checks with a time limit, and comparisons.

A check's result is a line of JSON on standard output; the caller (run.mjs) collects them.
"""

import json
import os
import signal
import time
from pathlib import Path

# Longest time for one check: a client that waits for what never comes fails by name.
CHECK_S_MAX = 20
# How often a condition is looked at.
LOOK_S = 0.02
# What each account has in the first block.
GENESIS_BALANCE = 10_000 * 10**18

CONFIG = json.loads(Path(os.environ["LODE_CLIENTS_CONFIG"]).read_text())
CHAIN_ID = int(CONFIG["chain"]["id"])
PROBE = json.loads((Path(__file__).parent.parent / "contracts/Probe.json").read_text())


class Late(BaseException):
    """A check took too long. Not an Exception, so that no client handles it."""


def _late(*_):
    raise Late(f"not done after {CHECK_S_MAX} s")


def check(name):
    """Runs the function below at once as the check `name`; whatever it raises is its failure."""

    def run(body):
        result = {"id": name, "ok": True}
        signal.signal(signal.SIGALRM, _late)
        signal.alarm(CHECK_S_MAX)
        try:
            body()
        except (Exception, Late) as error:
            result.update(ok=False, why=f"{type(error).__name__}: {error}"[:1500])
        finally:
            signal.alarm(0)
        print(json.dumps(result), flush=True)
        return body

    return run


def done():
    """Says that all checks were run; a script that ends without these words has failed."""
    print(json.dumps({"done": True}), flush=True)


def equal(found, wanted):
    """Compares contents."""
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def ok(condition, what="not so"):
    """Of what has no single right value."""
    if not condition:
        raise AssertionError(what)


def failure(action, kind=Exception):
    """The error of what must fail."""
    try:
        value = action()
    except kind as error:
        return error
    raise AssertionError(f"succeeded, with {value!r}")


def fails_with(action, words):
    """That something fails, and says `words`."""
    said = str(failure(action))
    ok(words.lower() in said.lower(), f"failed, but not with {words!r}: {said}")


def until(look, what):
    """Waits until `look` answers with something, and returns that."""
    end = time.monotonic() + CHECK_S_MAX
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(LOOK_S)
    raise AssertionError(f"never came: {what}")
