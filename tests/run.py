#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests: all groups, or the named ones, in the order below.

usage: tests/run.py [GROUP...|all] [e2e/PATTERN]     inside the builder root; `./dev test` and `./dev check` call it

  lint   linters (tests/lint.py)
  unit   C unit tests with the address and undefined-behaviour sanitizers, Python unit tests
  fuzz   every fuzz target for 5 seconds
  image  the releases are reproducible and within their budgets
  feed   feeds against other implementations (tests/conformance)
  e2e    real images in QEMU (tests/e2e)
  plain  the unit tests as the node's programs are compiled, without sanitizers: for `./dev check`, and only if named
  long   more of them (tests/e2e/long_*.py): left out unless named, or `all` is, where guests run in software emulation

One line a test, with its time; where one fails, its log. e2e/PATTERN runs the end-to-end tests up to the last whose
"module/function" matches the regular expression; in modules that say EACH_ALONE or SIDE_BY_SIDE, only those that match.
Ends with "N passed, N failed" and, if there are any, ", N skipped". Exit status 1 if one failed or none ran.
"""

import importlib.util
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parents[1]
LOGS = TOP / "build/test-logs"
MESON_DIR = TOP / "build/meson"
ASAN_DIR = TOP / "build/meson-asan"
FUZZ_SECONDS = 5
LONG, PLAIN = "long", "plain"
FUZZ_SEED = 1
LINT_NICE = 10
ROOT_BUDGET = 450 * 1000 * 1000
PAYLOAD_BUDGET = 115 * 1000 * 1000
UKI_BUDGET = 40 * 1000 * 1000

sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/e2e")]


class Report:
    """Counts, and prints a line for each test as it ends."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = threading.Lock()

    def test(self, group, name, ok, seconds, message="", log=None, count=1):
        """ok: True, False, or None for skipped. count: how many tests the line stands for."""
        with self._lock:
            word = {True: "ok  ", False: "FAIL", None: "skip"}[ok]
            print(f"{word}  {group:5}  {name}  {seconds:.1f} s" + (f"  {message}" if message else ""), flush=True)
            if ok is False and log:
                print(f"      log: {log}", flush=True)
            if ok is None:
                self.skipped += count
            elif ok:
                self.passed += count
            else:
                self.failed += 1
                self.passed += count - 1

    def end(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 0 if self.passed and not self.failed else 1


def logged(command, log, environment=None, time_limit=None):
    """Runs a command with its output in log; returns (exit status, seconds). A time limit gives status 124."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with open(log, "wb") as out:
        try:
            status = subprocess.run(command, cwd=TOP, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                    env={**os.environ, **(environment or {})}, timeout=time_limit).returncode
        except subprocess.TimeoutExpired:
            status = 124
    return status, time.monotonic() - began


def last_lines(log, count=5):
    lines = log.read_text(errors="replace").strip().splitlines()
    return "\n".join("      " + line for line in lines[-count:])


# --- lint ------------------------------------------------------------------------------------------------------


def group_lint(report):
    import lint
    for check in lint.CHECKS:
        began = time.monotonic()
        complaints = check()
        log = LOGS / "lint" / f"{check.__name__}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join(complaints) + "\n" if complaints else "")
        report.test("lint", check.__name__, not complaints, time.monotonic() - began, check.__doc__ if complaints else "", log)
        for line in complaints[:10]:
            print("      " + line)


# --- unit ------------------------------------------------------------------------------------------------------


def compile_asan(report):
    log = LOGS / "unit/compile.log"
    commands = [["ninja", "-C", str(ASAN_DIR)]]
    if not (ASAN_DIR / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", str(ASAN_DIR), "-Db_sanitize=address,undefined", "-Db_lundef=false"])
    for command in commands:
        status, seconds = logged(command, log)
        if status:
            report.test("unit", "compile with sanitizers", False, seconds, "", log)
            print(last_lines(log, 15))
            return False
    return True


def tap_counts(output):
    """(passed, names of failed, skipped) of TAP output."""
    passed, failed, skipped = 0, [], 0
    for line in output.splitlines():
        match = re.match(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)", line)
        if not match:
            continue
        if re.search(r"#\s*SKIP", match[2], re.I):
            skipped += 1
        elif match[1]:
            failed.append(match[2].split(" - ")[0])
        else:
            passed += 1
    return passed, failed, skipped


def report_meson_test(report, entry):
    name = re.sub(r"^proa:", "", entry["name"]).replace(" / ", "/")
    passed, failed, skipped = tap_counts(entry.get("stdout") or "")
    seconds = entry["duration"]
    log = LOGS / "unit" / (re.sub(r"[^\w.-]+", "-", name) + ".log")
    log.write_text((entry.get("stdout") or "") + (entry.get("stderr") or ""))
    if entry["result"] in ("OK", "EXPECTEDFAIL"):
        if passed == 0 and skipped:
            report.test("unit", name, None, seconds, count=skipped)
            return
        report.test("unit", name, True, seconds, f"{passed} tests" if passed else "", count=max(passed, 1))
        report.skipped += skipped
    elif entry["result"] == "SKIP":
        report.test("unit", name, None, seconds)
    else:
        report.passed += passed
        for one in failed or [entry["result"].lower()]:
            report.test("unit", f"{name}: {one}", False, seconds, "", log)
        print(last_lines(log))


def group_unit(report):
    if not compile_asan(report):
        return
    unit_tests(report, ASAN_DIR, {
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:strict_string_checks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "G_SLICE": "always-malloc",
    })


def group_plain(report):
    unit_tests(report, MESON_DIR, {}, 4)


def unit_tests(report, folder, environment, more=1):
    """The C tests compiled in a folder, as many at a time as there are processors and `more`, since the longest of them wait; and
    beside them those in Python."""
    log = LOGS / "unit/meson-test.log"
    python = threading.Thread(target=lambda: [python_unit(report, "unit", path) for path in sorted((TOP / "tests/unit").rglob("test_*.py"))])
    python.start()
    results = folder / "meson-logs/testlog.json"
    results.unlink(missing_ok=True)
    logged(["meson", "test", "-C", str(folder), "--no-rebuild", "--num-processes", str((os.cpu_count() or 1) + more)], log, environment)
    python.join()
    if not results.exists():
        report.test("unit", "meson test", False, 0, "wrote no results", log)
        return
    for line in results.read_text().splitlines():
        report_meson_test(report, json.loads(line))


def python_unit(report, group, path):
    """A file of unittest cases is one line, and counts as many tests as it holds."""
    name = str(path.relative_to(TOP / "tests"))
    log = LOGS / group / (re.sub(r"[^\w.-]+", "-", name) + ".log")
    status, seconds = logged([sys.executable, "-m", "unittest", "discover", "-v", "-s", str(path.parent.relative_to(TOP)), "-p", path.name],
                             log, time_limit=900)
    text = log.read_text(errors="replace")
    ran = re.search(r"^Ran (\d+) tests?", text, re.M)
    count = int(ran[1]) if ran else 0
    skipped = int((re.search(r"skipped=(\d+)", text) or [0, 0])[1])
    if status or not count:
        bad = re.findall(r"^(?:FAIL|ERROR): (\S+)", text, re.M) or ["it did not run"]
        report.passed += max(count - len(bad) - skipped, 0)
        for one in bad:
            report.test(group, f"{name}: {one}", False, seconds, "", log)
        print(last_lines(log))
        return
    report.test(group, name, True, seconds, f"{count} tests", count=count - skipped)
    report.skipped += skipped


# --- fuzz, image, feed -----------------------------------------------------------------------------------------


def group_fuzz(report):
    # A seed of its own, so that what passed once is judged alike elsewhere; `./dev fuzz` takes another one each time.
    fuzz = load(TOP / "tests/fuzz/run.py")
    fuzz.run_all(FUZZ_SECONDS, fuzz.names(),
                 lambda name, ok, seconds, message, log: report.test("fuzz", name, ok, seconds, message, log), FUZZ_SEED)


def group_image(report):
    tool = [sys.executable, "images/build/proa-image"]
    log = LOGS / "image/build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with open(log, "wb") as err:
        done = subprocess.run([*tool, "build", "--json"], cwd=TOP, stdout=subprocess.PIPE, stderr=err)
    report.test("image", "base and security are built", done.returncode == 0, time.monotonic() - began, "", log)
    if done.returncode:
        print(last_lines(log))
        return
    releases = releases_of(json.loads(done.stdout))
    for name, members in sorted(releases.items()):
        for member, budget in (("root_bytes", ROOT_BUDGET), ("full_payload_bytes", PAYLOAD_BUDGET), ("uki_bytes", UKI_BUDGET)):
            size = members.get(member, 0)
            report.test("image", f"{name}: {member} within {budget // 1000000} MB", 0 < size <= budget, 0,
                        f"{size / 1e6:.1f} MB", log)
    report.test("image", "both releases are there", {"base", "security"} <= set(releases), 0, " ".join(sorted(releases)), log)
    log = LOGS / "image/reproducible.log"
    status, seconds = logged([*tool, "build", "--check-reproducible", "base"], log)
    report.test("image", "base built twice has the same root hash", status == 0, seconds, "", log)
    if status:
        print(last_lines(log))


def releases_of(document):
    """{"base": {...}} of the JSON of `proa-image build --json`, whether it is a list or an object."""
    document = document.get("releases", document) if isinstance(document, dict) else document
    if isinstance(document, dict):
        return document
    return {release.get("release") or release["name"]: release for release in document}


def group_feed(report):
    for folder in ("conformance", "attacks"):
        for path in sorted((TOP / "tests" / folder).glob("test_*.py")):
            python_unit(report, "feed", path)


# --- e2e -------------------------------------------------------------------------------------------------------


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def group_e2e(report, wanted="", kind="test"):
    """Each module in a process of its own, as many at a time as guests fit on this machine."""
    pattern = re.compile(wanted)
    # What has never passed yet is not part of `./dev test`, but can be named; docs/status.md lists it.
    kinds = ("test", LONG, "unproven") if wanted else (kind,)
    waiting = [chain for one in kinds for path in sorted((TOP / "tests/e2e").glob(f"{one}_*.py"))
               for chain in chains_of(load(path), pattern)]
    waiting.sort(key=lambda chain: len(chain[1]), reverse=True)  # what takes longest begins first
    places = importlib.import_module("harness.guest").guests()
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < places:
                running.append(Chain(*waiting.pop(0)))
            multiprocessing.connection.wait([chain.process.sentinel for chain in running])
            for chain in [chain for chain in running if not chain.process.is_alive()]:
                running.remove(chain)
                chain.collect(report)
    finally:
        for chain in running:
            chain.process.terminate()
        for chain in running:
            chain.process.join(60)


def group_long(report):
    """As many boots again as those of the group above: more than an hour without hardware virtualisation."""
    group_e2e(report, kind=LONG)


class Chain:
    """Claims of a module, run in a process of its own, which prints their lines itself."""

    def __init__(self, module, claims):
        self.name = module.__name__
        self.result, answer = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.get_context("fork").Process(target=self._run, args=(module, claims, answer))
        self.process.start()
        answer.close()

    @staticmethod
    def _run(module, claims, answer):
        report = Report()
        run_chain(report, module, claims)
        answer.send((report.passed, report.failed, report.skipped))

    def collect(self, report):
        """Adds the counts of an ended chain."""
        try:
            passed, failed, skipped = self.result.recv()
        except EOFError:
            report.test("e2e", self.name, False, 0, f"the chain ended with status {self.process.exitcode}")
            return
        report.passed += passed
        report.failed += failed
        report.skipped += skipped


def claims_of(module):
    """[("module/function", function)] of a module's test_ functions, in the order in which they stand in the file."""
    name = re.sub("^(test|long|unproven)_", "", module.__name__)
    return [(f"{name}/{value.__name__}", value) for key, value in vars(module).items()
            if key.startswith("test_") and callable(value)]


def chains_of(module, pattern):
    """[(module, claims)]: what of a module is to run, as one chain, or as one a claim where they may run SIDE_BY_SIDE."""
    claims = claims_of(module)
    matching = [i for i, (label, _) in enumerate(claims) if pattern.search(label)]
    if not matching:
        return []
    if getattr(module, "SIDE_BY_SIDE", False):
        return [(module, [claims[i]]) for i in matching]
    alone = getattr(module, "EACH_ALONE", False)
    return [(module, [claims[i] for i in matching] if alone else claims[:max(matching) + 1])]


def run_chain(report, module, claims):
    """setup(logs) of a module gives the scene, which each claim takes in turn. The scene has after_failure(name), which says why
    the chain cannot go on, if so, and throw_away()."""
    name = claims[0][0].partition("/")[0]
    logs = LOGS / "e2e" / name
    side_by_side = getattr(module, "SIDE_BY_SIDE", False)
    if side_by_side:
        logs /= claims[0][1].__name__.removeprefix("test_")
    alone = side_by_side or getattr(module, "EACH_ALONE", False)
    began = time.monotonic()
    scene, lost = None, None
    try:
        scene = module.setup(logs)
        if not side_by_side:
            report.test("e2e", f"{name}/setup", True, time.monotonic() - began)
    except Exception as error:
        lost = f"set-up failed: {first_line(error)}"
        write_failure(logs, "setup", error)
        report.test("e2e", f"{name}/setup", False, time.monotonic() - began, first_line(error), logs)
    try:
        for _, claim in claims:
            label = f"{name}/{claim.__name__.removeprefix('test_').replace('_', '-')}"
            if lost:
                report.test("e2e", label, False, 0, f"not reached: {lost}", logs)
                continue
            began = time.monotonic()
            try:
                claim(scene)
                report.test("e2e", label, True, time.monotonic() - began)
            except Exception as error:
                write_failure(logs, claim.__name__, error)
                report.test("e2e", label, False, time.monotonic() - began, first_line(error), logs)
                after = scene.after_failure(claim.__name__)
                lost = None if alone else after
    finally:
        if scene is not None:
            scene.throw_away()


def first_line(error):
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]


def write_failure(logs, name, error):
    logs.mkdir(parents=True, exist_ok=True)
    (logs / f"{name}.failure.txt").write_text("".join(traceback.format_exception(error)))


GROUPS = {"lint": group_lint, PLAIN: group_plain, "unit": group_unit, "fuzz": group_fuzz, "image": group_image, "feed": group_feed, "e2e": group_e2e,
          LONG: group_long}


def run_group(report, name, wanted, nice=0):
    """`nice`: of the calling thread and of what it starts from here on."""
    if nice:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
    began = time.monotonic()
    try:
        group_e2e(report, wanted) if name == "e2e" else GROUPS[name](report)
    except Exception as error:
        write_failure(LOGS / name, "group", error)
        report.test(name, "the group itself", False, time.monotonic() - began, first_line(error), LOGS / name)
    print(f"----  {name}: {time.monotonic() - began:.0f} s", flush=True)


def main():
    names = sys.argv[1:]
    if any(name in ("-h", "--help") for name in names):
        print(__doc__.strip())
        return 0
    wanted = next((name.removeprefix("e2e/") for name in names if name.startswith("e2e/")), "")
    names = ["e2e" if name.startswith("e2e/") else name for name in names]
    if "all" in names:
        names = [name for name in GROUPS if name != PLAIN]
    elif not names:
        emulated = os.environ.get("PROA_ACCEL", "tcg") == "tcg"
        names = [name for name in GROUPS if name != PLAIN and not (emulated and name == LONG)]
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"test: no such group: {' '.join(unknown)} (there are: {' '.join(GROUPS)})", file=sys.stderr)
        return 2
    # An end from outside still takes the guests and servers down in order.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    report = Report()
    linting = None
    if "lint" in names and PLAIN in names:
        # `./dev check`: most unit tests wait; the linters take what time of the processors is left.
        linting = threading.Thread(target=run_group, args=(report, "lint", wanted, LINT_NICE))
        linting.start()
    for name in GROUPS:
        if name in names and not (linting and name == "lint"):
            run_group(report, name, wanted)
    if linting:
        linting.join()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
