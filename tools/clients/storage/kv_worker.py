"""The key-value client of the Python SDK, told by lines of JSON what to do, as kv_worker.mjs is.

It writes keys as hex where a key-value node reads base64 (0G wire, 3.3), and takes the base64 of answers
for hex. A key that is given as text goes through as it is, so keys are given in base64; and the keys that
it finds are read back from their hex, which works for keys whose base64 happens to be hex as well. Its
iterators pass such a key on as hex, and work nowhere.
"""

import base64
import contextlib
import json
import os
import sys

from eth_account import Account
from web3 import Web3

from contracts.flow import FlowContract
from core.indexer import Indexer
from core.kv import AccessControl, AccessControlType, Batcher, KvClient

RPC = os.environ["EVM_RPC"]
VERSION_MAX = 2**64 - 1
indexer = Indexer(os.environ["INDEXER_RPC"])
web3 = Web3(Web3.HTTPProvider(RPC))


def decoded(text):
    return base64.b64decode(text)


def write(job):
    account = Account.from_key(job.get("key") or os.environ["PRIVATE_KEY"])
    nodes, error = indexer.select_nodes(1)
    if error is not None:
        raise error
    address = nodes[0].get_status()["networkIdentity"]["flowAddress"]
    version = job.get("version")
    batcher = Batcher(VERSION_MAX if version is None else version, nodes, FlowContract(web3, address), RPC)
    builder, stream = batcher.stream_data_builder, job["stream"]
    builder.add_stream_id(stream)
    for key, value in job.get("writes", []):
        batcher.set(stream, decoded(key), decoded(value))
    for key in job.get("reads", []):
        builder.reads.setdefault(stream, {})[decoded(key).hex()] = True
    for control in job.get("controls", []):
        key = control.get("key")
        builder.controls.append(
            AccessControl(
                type=AccessControlType(control["op"]),
                stream_id=stream,
                account=control.get("account"),
                key=key and decoded(key),
            )
        )
    options = {"finalityRequired": True, "taskSize": 10, "expectedReplica": 1, "account": account}
    done, error = batcher.exec(options)
    if error is not None:
        raise error
    return {"root": done["rootHash"]}


def value(found):
    return found and {"version": found.version, "data": found.data, "size": found.size}


def pair(found):
    # Undoes what the client took for hex.
    return found and {**value(found), "key": found.key.hex()}


def ask(question):
    return lambda job: {"found": question(KvClient(job["kv"]), job)}


def beside(method):
    return ask(
        lambda kv, job: pair(
            getattr(kv, method)(job["stream"], job["key"], 0, job["len"], job["inclusive"], job.get("version"))
        )
    )


def end(method):
    return ask(lambda kv, job: pair(getattr(kv, method)(job["stream"], 0, job["len"], job.get("version"))))


def permission(method, *names):
    return ask(lambda kv, job: getattr(kv, method)(*(job[name] for name in names), job.get("version")))


JOBS = {
    "write": write,
    "value": ask(lambda kv, job: value(kv.get_value(job["stream"], job["key"], job.get("version")))),
    "part": ask(
        lambda kv, job: value(kv.get(job["stream"], job["key"], job["from"], job["len"], job.get("version")))
    ),
    "next": beside("get_next"),
    "prev": beside("get_prev"),
    "first": end("get_first"),
    "last": end("get_last"),
    "result": ask(lambda kv, job: kv.get_transaction_result(job["seq"])),
    "streams": ask(lambda kv, _: kv.get_holding_stream_ids()),
    "may_write": permission("has_write_permission", "account", "stream", "key"),
    "is_admin": permission("is_admin", "account", "stream"),
    "is_special": permission("is_special_key", "stream", "key"),
    "is_key_writer": permission("is_writer_of_key", "account", "stream", "key"),
    "is_writer": permission("is_writer_of_stream", "account", "stream"),
}

for line in sys.stdin:
    job = json.loads(line)
    try:
        # The SDK prints what it does.
        with contextlib.redirect_stdout(sys.stderr):
            answer = JOBS[job["do"]](job)
    except Exception as error:  # whatever it is, it is the answer
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": job["id"], **answer}), flush=True)
