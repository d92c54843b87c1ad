# SPDX-License-Identifier: Apache-2.0
"""
payload: our payloads of the real update from base to security, and what others make of the same, in one run.

It is made of parts, each named by --only; what a part found is kept in build/bench/payload.json, so that a part can be
run again by itself.
"""

import json
import pathlib
import tempfile

import growth
import own
import peers
from measuring import say, warm

# Bytes; limits, and everything else of the table, are in docs/performance.md.
_ROUND = 3
# So few changed packages are no update to compare seconds with.
FEW = 5


def _ours(top, programs, work, base, security):
    """Delta, full and blocks: made, applied, and brought as a node brings them."""
    old, new = base.folder / "root.img", security.folder / "root.img"
    hashes = (base.root_hash, security.root_hash)
    delta, uki, full, blocks = (work / name for name in ("root.delta", "uki.delta", "root.full", "root.blocks"))
    found = {}
    warm(old, new)
    found["delta"] = {"made": own.make_delta(programs, old, new, *hashes, delta), "bytes": delta.stat().st_size}
    say(f"delta: {found['delta']}")
    papers = (*hashes, security.manifest["root"]["salt"], security.manifest["root"]["uuid"])
    applied, verified, dd = own.apply_delta(programs, delta, old, new, papers, work / "out")
    found["delta"] |= {"applied": applied, "applied_verified": verified}
    found["dd"] = {"seconds": round(dd, _ROUND)}
    say(f"delta applied in {applied['seconds']} s, with verifying in {verified['seconds']} s; dd takes {dd:.3f} s")
    found["uki"] = {"made": own.make_uki(programs, base, security, uki), "bytes": uki.stat().st_size,
                    "full_bytes": (security.folder / "uki.full").stat().st_size}
    say(f"uki: {found['uki']}")
    found["full"] = {"made": own.make_full(programs, new, hashes[1], full), "bytes": (security.folder / "root.full").stat().st_size}
    say(f"full: {found['full']}")
    made = own.make_blocks(programs, new, hashes[1], security.manifest["root"]["salt"], blocks)
    found["blocks"] = {"made": made, "payload_bytes": blocks.stat().st_size, "bytes": own.blocks_fetched(blocks, base.folder / "root.verity")}
    say(f"blocks: {found['blocks']}")
    files = {"full": (full, None), "blocks": (blocks, None), "delta": (delta, hashes[0])}
    runs = (base.root_hash, old, base.folder / "root.verity")
    for kind, cost in own.bring(programs, work, security.manifest, runs, new, files).items():
        found[kind]["brought"] = cost
        say(f"{kind}, brought and verified: {cost}")
    return found


def _growth(top, programs, work, base, security):
    return growth.run(top, programs, work, base, security)


def _of_images(peer):
    return lambda top, programs, work, base, security: peer(work, base.folder / "root.img", security.folder / "root.img")


def _of_trees(peer):
    return lambda top, programs, work, base, security: peer(
        work, top / "build/images/ostree", base.manifest["tree"], security.manifest["tree"])


PARTS = {"ours": _ours, "ostree": _of_trees(peers.ostree), "rauc": _of_images(peers.rauc), "casync": _of_images(peers.casync),
         "zchunk": _of_images(peers.zchunk), "zstd": _of_images(peers.zstd), "bsdiff": _of_trees(peers.bsdiff), "growth": _growth}


def _ratios(found):
    """Those whose parts were measured; less is better."""
    ours, ostree, rauc = (found.get(name) for name in ("ours", "ostree", "rauc"))
    ratios = {}
    if ours and ostree:
        delta = ours["delta"]
        ratios["delta_vs_ostree"] = delta["bytes"] / ostree["bytes"]
        ratios["make_time_vs_ostree"] = delta["made"]["seconds"] / ostree["made"]["seconds"]
        ratios["apply_cpu_vs_ostree"] = delta["applied"]["cpu_seconds"] / ostree["applied"]["cpu_seconds"]
    if ours:
        uki, delta = ours["uki"], ours["delta"]
        ratios["delta_vs_full"] = (delta["bytes"] + min(uki["bytes"], uki["full_bytes"])) / (ours["full"]["bytes"] + uki["full_bytes"])
        ratios["make_peak_bytes"] = max(delta["made"]["peak_bytes"], uki["made"]["peak_bytes"])
        ratios["apply_peak_bytes"] = max(ours[kind]["brought"]["peak_bytes"] for kind in ("full", "blocks", "delta"))
        ratios["apply_time_vs_dd"] = delta["applied_verified"]["seconds"] / ours["dd"]["seconds"]
    if ours and rauc:
        ratios["blocks_vs_rauc"] = ours["blocks"]["bytes"] / rauc["bytes"]
    return {name: round(value, _ROUND) for name, value in ratios.items()}


def _row(name, entry):
    made, applied = entry.get("made", {}), entry.get("brought") or entry.get("applied", {})

    def mib(cost):
        return f"{cost['peak_bytes'] / (1 << 20):,.0f}" if "peak_bytes" in cost else ""
    return (f"| {name} | {entry['bytes']:,} | {made.get('seconds', '')} | {made.get('cpu_seconds', '')} | {mib(made)} | "
            f"{applied.get('seconds', '')} | {applied.get('cpu_seconds', '')} | {mib(applied)} |")


def _changed_packages(base, security):
    """How many packages on the node differ. Where a point release has just taken the updates in, hardly any do."""
    known = [{line for line in (release.folder / "packages.lock").read_text().splitlines() if line.endswith(" node")}
             for release in (base, security)]
    return len({line.split()[0] for line in known[0] ^ known[1]})


def table(result):
    """What was found as Markdown."""
    found, changed = result["parts"], result["changed_packages"]
    lines = [f"Packages that differ between base and security: {changed}."]
    if changed < FEW:
        lines.append("A peer that touches the changed files alone has next to nothing to do then; a slot is written and verified whole all the same. "
                     "The growth with packages says more.")
    lines += ["", "| root, base to security | bytes | s to make | CPU s | peak MiB | s to apply | CPU s | peak MiB |", "| " + "--- | " * 8]
    lines += [_row(name, found["ours"][name]) for name in ("full", "blocks", "delta", "uki") if "ours" in found]
    lines += [_row(name, found[name]) for name in PARTS if name in found and name not in ("ours", "growth")]
    lines += ["", "| ratio | measured |", "| --- | --- |"]
    lines += [f"| {name} | {value:,} |" for name, value in result["ratios"].items()]
    if result["growth"]:
        lines += ["", "| growth | image MiB | delta bytes | s to make | peak MiB | s to apply | blocks bytes |", "| " + "--- | " * 7]
    for row in (row for rows in result["growth"].values() for row in rows):
        lines.append(f"| {row['of']} | {row['image_bytes'] >> 20:,} | {row['delta_bytes']:,} | {row['delta_made']['seconds']} | "
                     f"{row['delta_made']['peak_bytes'] >> 20:,} | {row['delta_applied']['seconds']} | {row.get('blocks_bytes', '') or ''} |")
    return "\n".join(lines)


def run(top, programs, base, security, only=None):
    """
    One object: what each part found, `ratios` by the names of docs/performance.md, and `growth`. @only: names of parts; what
    the others found in earlier runs is taken from build/bench/payload.json.
    """
    kept = pathlib.Path(top) / "build/bench/payload.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(kept.read_text()) if only and kept.exists() else {}
    own.compile_programs(programs)
    for name in only or PARTS:
        say(f"{name} ...")
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            found[name] = PARTS[name](pathlib.Path(top), pathlib.Path(programs), pathlib.Path(folder), base, security)
        kept.write_text(json.dumps(found, indent=1))
        if name not in ("ours", "growth"):
            say(f"{name}: {found[name]}")
    parts = {name: entry for name, entry in found.items() if name != "growth"}
    return {"bench": "payload", "changed_packages": _changed_packages(base, security), "parts": parts, "ratios": _ratios(found), "growth": found.get("growth", {})}
