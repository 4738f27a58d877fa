"""The Python SDK, told by lines of JSON what to do, as worker.mjs is."""

import contextlib
import json
import os
import sys

from eth_account import Account
from core.file import ZgFile
from core.indexer import Indexer

# Segments of a request. The SDK takes the answer of every node of 0G's, null, for a failure, and sends
# what was taken twice more, after 3 and 6 seconds: 9 s for a request, whatever is in it.
TASK_SIZE = 64

RPC = os.environ["EVM_RPC"]
account = Account.from_key(os.environ["PRIVATE_KEY"])
indexer = Indexer(os.environ["INDEXER_RPC"])


def upload(job):
    file = ZgFile.from_file_path(job["file"])
    tree, error = file.merkle_tree()
    if error is not None:
        raise error
    options = {
        "tags": b"",
        "finalityRequired": True,
        "expectedReplica": 1,
        "taskSize": TASK_SIZE,
        "account": account,
    }
    done, error = indexer.upload(file, RPC, account, options)
    file.close()
    if error is not None:
        raise error
    return {"root": tree.root_hash(), "tx": done["txHash"]}


def download(job):
    with contextlib.suppress(FileNotFoundError):
        os.remove(job["file"])
    error = indexer.download(job["root"], job["file"], True)
    if error is not None:
        raise error
    return {"root": job["root"]}


JOBS = {"upload": upload, "download": download}

for line in sys.stdin:
    job = json.loads(line)
    try:
        # The SDK prints what it does.
        with contextlib.redirect_stdout(sys.stderr):
            answer = JOBS[job["do"]](job)
    except Exception as error:  # whatever it is, it is the answer
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": job["id"], **answer}), flush=True)
