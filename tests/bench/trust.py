# SPDX-License-Identifier: Apache-2.0
"""trust: what a full refresh and an idle poll cost our client, and the reference implementation's beside it.

One feed of 1,000 targets in 8 delegated roles, made with python3-tuf, served by nginx; each client is a process of its
own. Requests and bytes are what nginx counted: bodies alone. Memory is the peak that each process tells of itself.
"""

import datetime
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from harness.server import Server

TARGETS, DELEGATIONS, ROUNDS = 1000, 8, 5
# The reference client; it has no poll, so an idle refresh is what its users do.
PYTHON_CLIENT = """
import sys, time
from tuf.ngclient import Updater
store, url, *names = sys.argv[1:]
began = time.monotonic()
updater = Updater(store, url)
updater.refresh()
for name in names:
    assert updater.get_targetinfo(name)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print('{"seconds":%.4f,"peak_kib":%d}' % (time.monotonic() - began, peak))
"""


def make_feed(folder):
    """Writes the repository; the names of one target a delegation."""
    from securesystemslib.signer import CryptoSigner
    from tuf.api.metadata import (DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets,
                                  Timestamp)

    expires = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
    signers = {role: CryptoSigner.generate_ed25519() for role in ("root", "timestamp", "snapshot", "targets", "channels")}
    metadata = folder / "metadata"
    metadata.mkdir(parents=True)

    def write(signed, name, role):
        envelope = Metadata(signed)
        envelope.sign(signers[role])
        data = envelope.to_bytes()
        (metadata / name).write_bytes(data)
        return MetaFile.from_data(signed.version, data, ["sha256"])

    root = Root(expires=expires)
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(signers[role].public_key, role)
    key = signers["channels"].public_key
    targets, snapshot, names = Targets(expires=expires), Snapshot(expires=expires), []
    roles = {f"channel{i}": DelegatedRole(f"channel{i}", [key.keyid], 1, True, paths=[f"channel{i}/*/manifest.json"])
             for i in range(DELEGATIONS)}
    targets.delegations = Delegations({key.keyid: key}, roles)
    for name in roles:
        channel = Targets(expires=expires)
        for version in range(TARGETS // DELEGATIONS):
            path = f"{name}/1.0.{version}/manifest.json"
            channel.targets[path] = TargetFile(3000, {"sha256": hashlib.sha256(path.encode()).hexdigest()}, path, {
                "custom": {"proa": {"version": f"1.0.{version}", "channel": name, "architecture": "x86-64"}}})
        names.append(path)
        snapshot.meta[f"{name}.json"] = write(channel, f"1.{name}.json", "channels")
    snapshot.meta["targets.json"] = write(targets, "1.targets.json", "targets")
    timestamp = Timestamp(expires=expires, snapshot_meta=write(snapshot, "1.snapshot.json", "snapshot"))
    write(timestamp, "timestamp.json", "timestamp")
    write(root, "1.root.json", "root")
    return names


def measure(command, log):
    """Runs a client; seconds in it and as a process, requests, body bytes, KiB at its peak."""
    before = len(log.read_text().splitlines())
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    answer = process.stdout.read()
    status = process.wait()
    taken = time.monotonic() - began
    if status:
        raise RuntimeError(f"{command[0]} failed")
    lines = log.read_text().splitlines()[before:]
    told = json.loads(answer)
    return {"seconds": told["seconds"], "process_seconds": round(taken, 3), "requests": len(lines),
            "body_bytes": sum(int(line.split('"')[2].split()[1]) for line in lines), "peak_kib": told["peak_kib"]}


def middle(results):
    """Of the rounds, the one with the middle time."""
    return sorted(results, key=lambda result: result["seconds"])[len(results) // 2]


def bench(program):
    """Both clients in the same run; one result a client and kind of work."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="proa-bench-"))
    server = Server(work / "logs")
    try:
        feed = work / "feed"
        names = make_feed(feed)
        server.serve(feed)
        server.start()
        url, log = f"http://127.0.0.1:{server.port}/metadata/", work / "logs/nginx-access.log"
        log.touch()
        clients = {"proa": [program], "python-tuf": [sys.executable, "-c", PYTHON_CLIENT]}
        results = []
        for client, command in clients.items():
            ours = client == "proa"
            full, idle = [], []
            for number in range(ROUNDS):
                store = work / f"{client}-{number}"
                store.mkdir()
                shutil.copy(feed / "metadata/1.root.json", store / "root.json")
                full.append(measure([*command, store, url, *(["refresh"] if ours else []), *names], log))
                idle.append(measure([*command, store, url, *(["poll"] if ours else [])], log))
            for kind, rounds in (("full refresh", full), ("idle poll", idle)):
                results.append({"bench": "trust", "client": client, "work": kind, "targets": TARGETS,
                                "delegations": DELEGATIONS, **middle(rounds)})
        return results
    finally:
        server.throw_away()
        shutil.rmtree(work)
