#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target of tests/fuzz for SECONDS each, two at a time.

usage: tests/fuzz/run.py [SECONDS] [NAME...]

tests/fuzz/corpus/NAME holds inputs worth keeping (an input that once broke the target stays there for ever);
build/fuzz/NAME holds what a run found. A finding ends with exit status 1 and the input's path.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "tests/fuzz"
BUILD = TOP / "build/meson-fuzz"
FOUND = TOP / "build/fuzz"
SANITIZE = "-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
INPUT_TIME_LIMIT = 10  # seconds for one input
MEMORY_LIMIT_MIB = 1024


def names():
    return sorted(path.stem for path in HERE.glob("*.c"))


def build(targets, log):
    """Configures (every time: a new file is a new target) and compiles; raises with the log's end on failure."""
    environment = dict(os.environ, CC="clang", CFLAGS=f"{SANITIZE} -g -O1", LDFLAGS="-fsanitize=address,undefined")
    setup = ["meson", "setup", str(BUILD), str(TOP), "-Dfuzz=true", "-Dwerror=false", "-Db_lundef=false",
             "-Dbuildtype=plain"]
    if (BUILD / "build.ninja").exists():
        setup.insert(2, "--reconfigure")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        for command in (setup, ["ninja", "-C", str(BUILD), *(f"tests/fuzz/fuzz-{name}" for name in targets)]):
            if subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode:
                raise RuntimeError(f"compiling the fuzz targets failed; see {log}")


def run(name, seconds, log, seed=0):
    """Runs one target; returns (ok, message). A seed other than 0 gives the same inputs each time."""
    grown = FOUND / name / "corpus"
    seeds = HERE / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(BUILD / "tests/fuzz" / f"fuzz-{name}"), f"-max_total_time={seconds}", f"-seed={seed}",
               f"-timeout={INPUT_TIME_LIMIT}",
               f"-rss_limit_mb={MEMORY_LIMIT_MIB}", "-print_final_stats=1", f"-artifact_prefix={FOUND / name}/", str(grown)]
    if seeds.is_dir():
        command.append(str(seeds))
    dictionary = HERE / "corpus" / f"{name}.dict"
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    environment = dict(os.environ, G_SLICE="always-malloc", UBSAN_OPTIONS="print_stacktrace=1",
                       ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1")
    with open(log, "wb") as out:
        try:
            status = subprocess.run(command, env=environment, stdout=out, stderr=subprocess.STDOUT,
                                    timeout=seconds + 120).returncode
        except subprocess.TimeoutExpired:
            return False, "did not end in time"
    text = log.read_text(errors="replace")
    if status:
        artifact = re.search(r"Test unit written to (\S+)", text)
        summary = re.search(r"^SUMMARY: (.*)$", text, re.M)
        return False, f"{summary[1] if summary else f'exit status {status}'}; input: {artifact[1] if artifact else 'none kept'}"
    executed = re.search(r"number_of_executed_units: (\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    if not executed or int(executed[1]) == 0:
        return False, "ran no input"
    return True, f"{executed[1]} inputs, coverage {coverage[-1] if coverage else '?'}"


def run_all(seconds, targets, report, seed=0):
    """Builds and runs; report(name, ok, seconds, message, log) for each target. Returns whether all went well."""
    began = time.monotonic()
    logs = TOP / "build/test-logs/fuzz"
    good = True
    try:
        build(targets, logs / "build.log")
    except RuntimeError as error:
        report("build", False, time.monotonic() - began, str(error), logs / "build.log")
        return False

    def one(name):
        start = time.monotonic()
        ok, message = run(name, seconds, logs / f"{name}.log", seed)
        return name, ok, time.monotonic() - start, message, logs / f"{name}.log"

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for result in pool.map(one, targets):
            report(*result)
            good = good and result[1]
    return good


def main():
    arguments = sys.argv[1:]
    if any(word in ("-h", "--help") for word in arguments):
        print(__doc__.strip())
        return 0
    seconds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 30
    unknown = [name for name in arguments if name not in names()]
    if unknown:
        print(f"fuzz: no such target: {' '.join(unknown)} (there are: {' '.join(names())})", file=sys.stderr)
        return 2

    def report(name, ok, taken, message, log):
        print(f"{'ok  ' if ok else 'FAIL'}  fuzz  {name}  {taken:.1f} s  {message}" + ("" if ok else f"; log: {log}"),
              flush=True)

    return 0 if run_all(seconds, arguments or names(), report) else 1


if __name__ == "__main__":
    sys.exit(main())
