"""A study small enough to run in seconds, and the command line in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

SMALL = """
title = "a small study for the tests"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
[corpus]
train = "synthetic?speakers=16&utterances=3&dev_speakers=6&dev_utterances=3&test_speakers=2&test_utterances=1"
[config]
width = 4
embedding_size = 16
mels = 20
batch_speakers = 8
crop_s = 0.5
eval_crop_s = 0.5
eval_crops = 2
epochs = 6
[search]
trials = 6
stopper = "asha"
grace = 1
reduction = 2
[search.space]
beta_alpha = true
learning_rate = { low = 3e-4, high = 1e-2, log = true }
[resources]
max_lanes = 1
"""


@pytest.fixture
def small_study(tmp_path: Path) -> Path:
    """The small study's file."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


class CommandLine:
    """`python -m voxstudy` in processes of its own, which end with the test."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        process = subprocess.Popen(
            [sys.executable, "-m", "voxstudy", *map(str, words)],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.started.append(process)
        return process

    def __call__(self, *words: object, code: int = 0, **environment: str) -> str:
        """Run a command to its end; its output. Its exit code must be `code`."""
        process = self.start(*words, **environment)
        output = process.communicate(timeout=300)[0]

        assert process.returncode == code, output
        return output

    def kill_when(self, process: subprocess.Popen[str], holds: Callable[[str], bool], how: int = signal.SIGKILL) -> str:
        """Read a process's lines until one satisfies `holds`, then send it a signal and wait for its end."""
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if holds(line):
                process.send_signal(how)
                break
        else:
            raise AssertionError("".join(lines))
        lines.append(process.communicate(timeout=120)[0])
        return "".join(lines)


@pytest.fixture
def voxstudy(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line, started in the test's folder."""
    line = CommandLine(tmp_path)
    yield line
    for process in line.started:
        if process.poll() is None:
            process.kill()
            process.wait()


def processes_below(driver: int, name: str) -> list[psutil.Process]:
    """The processes of an embedded Ray below a driver whose title has a name in it."""
    found = []
    for process in psutil.Process(driver).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if name in " ".join(process.cmdline()):
                found.append(process)
    return found


@pytest.fixture
def ray_processes() -> Callable[[int, str], list[psutil.Process]]:
    """Finds processes of an embedded Ray: `ray_processes(driver, "TrainWorker")`."""
    return processes_below
