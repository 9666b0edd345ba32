"""Measurements, each a process of its own, taken in turn so that a busy moment meets all alike."""

import json
import os
import signal
import statistics
import subprocess


# Which of a measurement's times counts: "ms", on the clock, or "cpu_ms", of the processor, for a
# machine that does other things beside.
CLOCKS = {"wall": "ms", "cpu": "cpu_ms"}
WORDS = {"wall": "", "cpu": " Processor time, not the clock's: the machine did other things beside."}


class Failed(Exception):
    """Why a reader has no time: its own last words."""


def child(command, timeout, cwd=None):
    """Runs one measurement, and gives what it printed: a record of JSON."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd=cwd,
        # Errors end with their reason, not with a trace of the stack.
        env={**os.environ, "RUST_BACKTRACE": "0"},
        # Its own group, so that what it started ends with it.
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Failed(f"over {timeout:g} s") from None
    lines = [line for line in err.strip().splitlines() if line.strip()]
    if process.returncode != 0:
        # Rust's `main` prints `Error: …`; a panic says where, then what.
        panics = [line for before, line in zip(lines, lines[1:]) if "panicked at" in before]
        why = (panics or lines[-1:] or [f"exit code {process.returncode}"])[0]
        raise Failed(why.removeprefix("Error: ").strip('"')[:200])
    record = json.loads(out.strip().splitlines()[-1])
    # A command, timed from outside: one is an answer ("found something"), more is a failure.
    if record.get("code", 0) not in (0, 1):
        raise Failed((lines or [f"exit code {record['code']}"])[0][:200])
    return record


def in_turn(contestants, rounds, timeout, cwd=None, clock="wall"):
    """All contestants, round after round: what each took, in the middle, or why it could not.

    `contestants` maps names to commands. Who failed is not asked again, nor who took so long that
    more rounds would say nothing new.
    """
    found, failed = {name: [] for name in contestants}, {}
    for turn in range(rounds):
        for name, command in contestants.items():
            if name in failed or (turn >= 3 and found[name][0]["ms"] > 5_000):
                continue
            try:
                found[name].append(child(command, timeout, cwd))
            except Failed as why:
                failed[name] = str(why)
    return {
        name: {"why": failed[name]} if name in failed else middle(found[name], CLOCKS[clock])
        for name in contestants
    }


def middle(records, time):
    """Medians, of the times that count; the rest of a record is the same each time."""
    middle = lambda key: statistics.median(record[key] for record in records)
    return records[0] | {"ms": middle(time), "peak_kib": middle("peak_kib")}
