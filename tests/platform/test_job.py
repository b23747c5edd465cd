"""The README's way to a cluster: a head started by hand, `ray job submit`, `ray job stop`, submit again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from reports.reading import read_run

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """A Ray head of the test's own."""

    address: str
    environment: dict[str, str]

    def job(self, verb: str, *words: str) -> str:
        """A `ray job …` command; its output."""
        command = [str(BIN / "ray"), "job", verb, "--address", self.address, *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout + done.stderr

    def wait_for_line(self, job: str, pattern: str, seconds: float = 120) -> str:
        """The job's log, once it has a line that matches."""
        end = time.monotonic() + seconds
        log = ""
        while time.monotonic() < end:
            log = self.job("logs", job)
            if re.search(pattern, log):
                return log
            time.sleep(0.5)
        raise AssertionError(log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    """A head in processes of its own group, with a token and a session folder of its own."""
    session = tempfile.mkdtemp(prefix="vx", dir="/tmp")  # short: the names of Unix sockets are limited
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    environment.pop("RAY_ADDRESS", None)
    # The agent takes jobs; at its usual port another Ray of this machine may listen.
    port, dashboard, agent = _free_port(), _free_port(), _free_port()
    words = ["start", "--head", "--block", f"--port={port}", f"--dashboard-port={dashboard}", "--num-cpus=2"]
    words.append(f"--dashboard-agent-listen-port={agent}")
    places = ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={session}"]
    log = (tmp_path / "head.log").open("w")
    process = subprocess.Popen(
        [str(BIN / "ray"), *words, *places, "--disable-usage-stats"],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    found = Head(f"http://127.0.0.1:{dashboard}", environment)
    end = time.monotonic() + 60
    while "No jobs" not in found.job("list") and "[]" not in found.job("list"):
        assert time.monotonic() < end, (tmp_path / "head.log").read_text() + found.job("list")
        time.sleep(1)
    yield found
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=60)
    log.close()
    shutil.rmtree(session, ignore_errors=True)


def test_submitted_job_is_stopped_and_goes_on(head: Head, wheel: Path, small_study: Path, tmp_path: Path) -> None:
    """`ray job stop` in the middle loses nothing, and the same submission continues to the target."""
    run = tmp_path / "run"
    runtime_env = json.dumps({"py_modules": [str(wheel)]})
    submission = ["--no-wait", "--runtime-env-json", runtime_env]
    command = ["--", "python", "-m", "voxstudy", "run", str(small_study), "--run", str(run)]
    said = head.job("submit", "--submission-id", "first", *submission, *command)
    assert "submitted successfully" in said, said
    head.wait_for_line("first", r"trial 1 epoch 0/6")
    head.job("stop", "first")
    stopped = read_run(str(run))
    before = stopped.epochs.select("trial_id", "epoch", "time").collect()

    assert 0 < stopped.trials.filter(pl.col("state") == "complete").collect().height < 7
    head.job("submit", "--submission-id", "second", *submission, *command)
    log = head.wait_for_line("second", r"\d of 7 trials done: |Traceback")

    assert "7 of 7 trials done: the target is reached" in log
    after = read_run(str(run))
    assert set(after.trials.collect()["state"]) <= {"complete", "pruned"}
    kept = after.epochs.collect().join(before, on=["trial_id", "epoch", "time"], how="semi")
    assert kept.height == before.height
    counts = after.epochs.group_by("trial_id").agg(pl.len(), pl.col("epoch").max()).collect()
    assert (counts["len"] == counts["epoch"] + 1).all()
