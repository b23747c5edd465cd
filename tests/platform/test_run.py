"""The engine end to end, in processes of its own: runs, kills, continues, extends."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from reports.reading import read_run

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FACTS = ["trial_id", "phase", "arm", "number", "seed", "state", "epochs", "objective"]


def _trials(run: Path) -> pl.DataFrame:
    return read_run(str(run)).trials.select(FACTS).collect().sort("phase", "number")


def _epochs(run: Path) -> pl.DataFrame:
    frame = read_run(str(run)).epochs.collect()
    metrics = sorted(name for name in frame.columns if name.startswith("metric."))
    return frame.select("trial_id", "epoch", *metrics).sort("trial_id", "epoch")


def _assert_whole(run: Path, *, trials: int) -> None:
    """Each trial once and ended, no epoch missing or doubled."""
    found = _trials(run)

    assert trials == found.height == found["trial_id"].n_unique()
    assert set(found["state"]) <= {"complete", "pruned"}
    epochs = _epochs(run)
    for row in found.iter_rows(named=True):
        own = epochs.filter(pl.col("trial_id") == row["trial_id"])["epoch"].to_list()

        assert own == list(range(row["epochs"] + 1)), row


@pytest.mark.timeout(400)
def test_killed_driver_continues_and_extends(voxstudy: Any, small_study: Path, tmp_path: Path) -> None:
    """kill -9 at different moments, then the same command: nothing is lost or doubled.

    The tables equal those of an uninterrupted run; a finished run is extended by --trials.
    """
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    voxstudy("run", small_study, "--run", whole)
    moments = ["starting 1 lane", "paper (seed 1) epoch 2/6", "trial 2 epoch 0/6"]
    for moment in moments:
        process = voxstudy.start("run", small_study, "--run", killed)
        voxstudy.kill_when(process, lambda line, moment=moment: moment in line)
    output = voxstudy("run", small_study, "--run", killed)

    assert "unfinished ones go on from their checkpoints" in output
    _assert_whole(whole, trials=7)
    _assert_whole(killed, trials=7)
    attempts = read_run(str(killed)).trials.collect()["attempt"]
    assert attempts.max() >= 2
    assert _trials(whole).equals(_trials(killed))
    assert _epochs(whole).equals(_epochs(killed))
    before = _epochs(killed)
    output = voxstudy("run", small_study, "--run", killed, "--trials", 10)

    assert "11 of 11 trials done" in output
    _assert_whole(killed, trials=11)
    changed = tmp_path / "changed"
    for room in ("search_spaces", "trainables"):
        shutil.copytree(ROOT / room, changed / room, ignore=shutil.ignore_patterns("__pycache__"))
    with (changed / "trainables" / "losses.py").open("a") as file:
        file.write("# changed\n")
    words = ("run", small_study, "--run", killed, "--trials", 10)
    assert "--allow-code-change" in voxstudy(*words, code=2, PYTHONPATH=str(changed))
    assert "11 of 11 trials done" in voxstudy(*words, "--allow-code-change", PYTHONPATH=str(changed))
    assert _epochs(killed).join(before, on=["trial_id", "epoch"], how="semi").height == before.height


@pytest.mark.timeout(300)
def test_reports_of_a_run(voxstudy: Any, small_study: Path, tmp_path: Path) -> None:
    """Every reading command works on a run that the engine made; SIGTERM stops it with exit code 3."""
    run = tmp_path / "run"
    process = voxstudy.start("run", small_study, "--run", run)
    output = voxstudy.kill_when(process, lambda line: "complete at epoch" in line, how=signal.SIGTERM)

    assert process.returncode == 3, output
    assert "the same command goes on from here" in output
    trial = read_run(str(run)).trials.filter(pl.col("arm") == "paper").collect().row(0, named=True)
    listed = json.loads(voxstudy("show", run, "--format", "json"))
    assert trial["trial_id"] in {row["trial"] for row in listed}
    assert "trial" in voxstudy("show", run, "--format", "csv").splitlines()[0]
    assert "paper" in voxstudy("show", run)
    assert trial["trial_id"] in voxstudy("logs", run)
    assert voxstudy("logs", run, "paper").count("epoch 1/6") == 1
    (run / "report.html").unlink()
    assert str(run / "report.html") in voxstudy("report", run)
    assert "paper" in (run / "report.md").read_text()
    contradicting = small_study.read_text().replace("mels = 20", "mels = 24")
    (tmp_path / "other.toml").write_text(contradicting)
    output = voxstudy("run", tmp_path / "other.toml", "--run", run, code=2)
    assert "config.mels" in output
    assert "Traceback" not in output
    attempt = re.escape(trial["trial_id"])
    assert re.search(attempt, voxstudy("logs", run))


@pytest.mark.timeout(300)
def test_two_workers_survive_a_kill(
    voxstudy: Any, small_study: Path, tmp_path: Path, ray_processes: Callable[[int, str], list[Any]]
) -> None:
    """In a lane of two workers, a worker killed by SIGKILL costs its trial at most the epoch under way."""
    run = tmp_path / "run"
    process = voxstudy.start("run", small_study, "--run", run, "--workers", 2, "--trials", 3)
    lines, killed = [], False
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "epoch 2/6" in line and not killed:
            workers = ray_processes(process.pid, "TrainWorker")

            assert len(workers) == 2, workers
            workers[0].kill()
            killed = True
    output = "".join(lines)

    assert process.wait() == 0, output
    assert re.search(r"again from epoch [34]", output), output
    _assert_whole(run, trials=4)
    trials = read_run(str(run)).trials.collect()
    assert trials["restarts"].max() == 1
    assert set(trials["workers"]) == {2}


@pytest.mark.timeout(300)
def test_dead_client_and_lost_lane_cost_no_trial(
    voxstudy: Any, small_study: Path, tmp_path: Path, ray_processes: Callable[[int, str], list[Any]]
) -> None:
    """A Tune client killed in the middle finds its trial again; a lost lane's trial goes on in the other lane."""
    run = tmp_path / "run"
    small_study.write_text(small_study.read_text().replace("max_lanes = 1", "max_lanes = 2"))
    process = voxstudy.start("run", small_study, "--run", run)
    lines, killed = [], set()
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "epoch 2/6" in line and "client" not in killed:
            ray_processes(process.pid, "ray::ResourceTrainable")[0].kill()
            killed.add("client")
        elif "epoch 1/6" in line and "trial 2" in line:
            ray_processes(process.pid, "ray::TrainController")[0].kill()
            killed.add("controller")
    output = "".join(lines)

    assert process.wait() == 0, output
    assert killed == {"client", "controller"}, output
    assert "is lost; its trial goes on in another lane" in output
    assert "Traceback" not in output
    _assert_whole(run, trials=7)


@pytest.mark.timeout(300)
def test_used_lane_equals_fresh_lane(voxstudy: Any, small_study: Path, tmp_path: Path) -> None:
    """A trial in a used lane equals the same trial in a fresh one, bit for bit; so do two identical runs."""
    text = small_study.read_text().replace("trials = 6", "trials = 1")
    small_study.write_text(text)
    (tmp_path / "two.toml").write_text(text.replace("max_lanes = 1", "max_lanes = 2"))
    voxstudy("run", small_study, "--run", tmp_path / "one_lane")
    voxstudy("run", tmp_path / "two.toml", "--run", tmp_path / "two_lanes")
    lanes = read_run(str(tmp_path / "two_lanes")).trials.collect()["lane"]

    assert lanes.n_unique() == 2
    assert _epochs(tmp_path / "one_lane").equals(_epochs(tmp_path / "two_lanes"))
