"""Writes a run that nobody computed, through the real writer: for tests that read runs.

A search over `loss`, `beta_alpha` and `learning_rate` beside the baseline arm, in two driver starts: the first was
killed in the middle of a trial, which the second took up from its checkpoint. Everything is drawn from `seed`.
With `seeds`, `arms` and `confirm` it is a study over several seeds: arms seed by seed, the search, its best confirmed.
"""

import json
import math
import random
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import tomli_w

from reports.fragments import encode
from reports.store import Store
from reports.tables import TableWriter, next_start
from search_spaces.identity import config_id, trial_id
from search_spaces.knobs import active_knobs
from search_spaces.study import BASELINE, Study

TRAINABLE = "contrastive_mixup"
FINGERPRINT = "5f1d0c7a9b3e"
CODE_HASH = "c0de5eed0001"
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EPOCH_S = 8.0
STUDY = """# A fabricated study: nothing of it was computed.
title     = "How strongly should contrastive mixup mix two speakers?"
trainable = "contrastive_mixup"
objective = [{{ metric = "eer", goal = "minimize" }}]
{top}
[corpus]
train = "synthetic"
{corpus}
[config]
epochs = {epochs}
width = 4
embedding_size = 64
batch_speakers = 20
eval_crops = 2

[search]
trials  = {trials}
sampler = "tpe"
stopper = "asha"

[search.space]
loss = {{ choices = ["ap", "contrastive_mixup"] }}
beta_alpha = true
learning_rate = {{ low = 3e-4, high = 5e-3, log = true }}

[resources]
workers = 1
{rest}"""
ARMS: Mapping[str, Mapping[str, Any]] = {
    "AP loss": {"loss": "ap"},
    "strong mixing": {"beta_alpha": 1.0},
    "slow": {"learning_rate": 3e-4},
}


def fabricate_run(
    path: str | Path,
    *,
    trials: int = 14,
    epochs: int = 6,
    failed: int = 1,
    pruned: int = 5,
    unfinished: int = 0,
    seed: int = 0,
    commit_every: int = 1,
    seeds: int = 1,
    arms: Sequence[str] = (),
    confirm: int = 0,
    test: bool = False,
    study: str = "",
) -> Path:
    """Writes a run directory with `trials` search trials and the arm "paper", and returns it.

    Of the search trials the last `unfinished` are still running, `failed` failed, the worst `pruned` others were
    stopped at a rung (after epoch 1 or 3); the rest is complete, as the arm is. Each `commit_every`-th event commits.

    `arms` are names of `ARMS`, run over 1..`seeds` as "paper" is then, and so are the `confirm` best configs of the
    search; `test` gives each of these trials a reading of the test set. `study` is added to the study file.
    """
    assert failed + pruned + unfinished <= trials
    assert not (confirm and unfinished), "confirmations wait for the end of the search"
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    text = _study_text(epochs=epochs, trials=trials, seeds=seeds, arms=arms, confirm=confirm, test=test) + study
    (folder / "study.toml").write_text(text)
    (folder / "resolved.toml").write_text(tomli_w.dumps(tomllib.loads(text)))
    (folder / "provenance.json").write_text(json.dumps(_provenance(), indent=1))
    store = Store(str(folder))
    asked = Study.model_validate(tomllib.loads(text))
    plans = _plans(asked, trials, epochs, failed, pruned, unfinished, random.Random(seed))
    if seeds > 1 or arms or confirm:
        plans = _measured_plans(asked, plans, epochs, seed)
    plans = [{**plan, "test": test and plan["phase"] != "search"} for plan in plans]
    clock = _Clock(BEGIN)
    half = len(plans) // 2
    _first_start(store, plans[: half + 1], clock, commit_every)
    clock.now += timedelta(minutes=7)
    _second_start(store, plans[half:], clock, commit_every, running=unfinished > 0)
    return folder


def _study_text(*, epochs: int, trials: int, seeds: int, arms: Sequence[str], confirm: int, test: bool) -> str:
    rest = [f"\n[confirm]\ntop = {confirm}\n"] if confirm else []
    for name in arms:
        values = ", ".join(f"{knob} = {json.dumps(value)}" for knob, value in ARMS[name].items())
        rest.append(f'\n[[arm]]\nname = "{name}"\nconfig = {{ {values} }}\n')
    return STUDY.format(
        epochs=epochs,
        trials=trials,
        top=f"seeds = {seeds}\n" if seeds > 1 else "",
        corpus='test = "synthetic"\n' if test else "",
        rest="".join(rest),
    )


class _Drawing:
    """Stands where Optuna's trial would: every suggestion is drawn at random."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suggest_float(self, _name: str, low: float, high: float, *, log: bool = False, **_step: Any) -> float:
        return math.exp(self._rng.uniform(math.log(low), math.log(high))) if log else self._rng.uniform(low, high)

    def suggest_int(self, _name: str, low: int, high: int, *, step: int = 1, **_log: Any) -> int:
        return self._rng.randrange(low, high + 1, step)

    def suggest_categorical(self, _name: str, choices: Any) -> Any:
        return self._rng.choice(choices)


class _Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def passes(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


def _plans(
    study: Study, trials: int, epochs: int, failed: int, pruned: int, unfinished: int, rng: random.Random
) -> list[dict[str, Any]]:
    """What each trial is and how it goes: the arm first, then the search in the order of its numbers."""
    plans = [_plan(study, None, {}, epochs, rng)]
    for number in range(trials):
        plans.append(_plan(study, number, study.suggest(_Drawing(rng)), epochs, rng))
    search = plans[1:]
    for plan in search[trials - unfinished :] if unfinished else []:
        plan.update(state="running", last=min(2, epochs - 1))
    ended = search[: trials - unfinished]
    for index in range(failed):
        plan = ended[(2 * index + 1) * len(ended) // (2 * failed)]
        plan.update(state="failed", last=min(2, epochs - 1), error=_error(index, plan))
    open_ones = [plan for plan in ended if plan["state"] == "complete"]
    worst = sorted(open_ones, key=lambda plan: -plan["curve"][-1])[:pruned]
    for index, plan in enumerate(worst):
        plan.update(state="pruned", last=min(1 if index < (pruned + 1) // 2 else 3, epochs - 1))
    return plans


def _measured_plans(study: Study, plans: list[dict[str, Any]], epochs: int, seed: int) -> list[dict[str, Any]]:
    """The arms over their seeds, the search, and its best configs over the same seeds."""
    search = plans[1:]
    complete = [plan for plan in search if plan["state"] == "complete"]
    best = sorted(complete, key=lambda plan: plan["curve"][-1])[: study.confirm.top if study.confirm else 0]
    arms = {BASELINE: {}} | {arm.name: arm.config for arm in study.arms}
    first, last = [], []
    for number in range(1, study.seeds + 1):
        for name, params in arms.items():
            plan = _plan(study, None, params, epochs, random.Random(f"{seed} {name} {number}"))
            first.append({**plan, "arm": name})
        for found in best:
            params = {name: found["knobs"][name] for name in study.space() if name in found["knobs"]}
            plan = _plan(study, found["number"], params, epochs, random.Random(f"{seed} {found['number']} {number}"))
            last.append({**plan, "phase": "confirm"})
        # What a seed adds to all configs alike: easy and hard draws.
        shift = random.Random(f"{seed} {number}").gauss(0.0, 0.008)
        for plan in (*first[-len(arms) :], *(last[-len(best) :] if best else [])):
            plan["seed"] = number
            plan["trial_id"] = trial_id(plan["config_id"], number, FINGERPRINT)
            plan["curve"] = [max(0.01, value + (shift if epoch else 0.0)) for epoch, value in enumerate(plan["curve"])]
    return [*first, *search, *last]


def _plan(study: Study, number: int | None, params: dict[str, Any], epochs: int, rng: random.Random) -> dict[str, Any]:
    config = study.config_of(params)
    knobs = active_knobs(config)
    seed = 1000 + number if number is not None else 0
    identity = config_id(TRAINABLE, config)
    return {
        "trial_id": trial_id(identity, seed, FINGERPRINT),
        "config_id": identity,
        "phase": "arm" if number is None else "search",
        "arm": "paper" if number is None else None,
        "number": number,
        "seed": seed,
        "knobs": knobs,
        "state": "complete",
        "last": epochs,
        "planned": epochs,
        "error": None,
        "curve": _eer_curve(knobs, epochs, rng),
        "node": f"node-{(number or 0) % 2}",
        "lane": f"lane-{(number or 0) % 2}",
    }


def _eer_curve(knobs: dict[str, Any], epochs: int, rng: random.Random) -> list[float]:
    """Falls from the untrained net's to a floor that has its best learning rate near 1.5e-3 and best α near 0.3."""
    floor = 0.055 + 0.030 * abs(math.log10(knobs["learning_rate"] / 1.5e-3)) ** 2
    if "beta_alpha" in knobs:
        floor += 0.012 * abs(math.log10(knobs["beta_alpha"] / 0.3)) - 0.012
    speed = 0.75 * math.exp(-abs(math.log10(knobs["learning_rate"] / 2e-3)))
    untrained = 0.36 + rng.gauss(0, 0.01)
    return [
        max(0.01, floor + (untrained - floor) * math.exp(-speed * epoch) + (rng.gauss(0, 0.004) if epoch else 0.0))
        for epoch in range(epochs + 1)
    ]


def _error(index: int, plan: dict[str, Any]) -> str:
    if index % 2:
        return f"WorkerDied: worker 0 of {plan['lane']} was killed by signal 9 in epoch 3"
    return f"Diverged: diverged at epoch 3, loss nan, learning_rate {plan['knobs']['learning_rate']:.3g}"


def _first_start(store: Store, plans: list[dict[str, Any]], clock: _Clock, commit_every: int) -> None:
    """Runs all but the last to their end; the last is under way when the driver is killed."""
    writer = TableWriter(store, next_start(store), TRAINABLE)
    write = _Events(writer, commit_every)
    writer.append("starts", _start_row(1, clock.now))
    _corpus_rows(writer)
    for plan in plans[:-1]:
        _attempt(write, store, plan, clock, attempt=1, first=0, last=plan["last"], state=plan["state"])
    under_way = plans[-1]
    _attempt(write, store, under_way, clock, attempt=1, first=0, last=min(1, under_way["last"]), state="running")
    writer.commit()


def _second_start(
    store: Store, plans: list[dict[str, Any]], clock: _Clock, commit_every: int, *, running: bool
) -> None:
    """Takes the interrupted trial up as its second attempt, then the rest."""
    writer = TableWriter(store, next_start(store), TRAINABLE)
    write = _Events(writer, commit_every)
    began = clock.now
    writer.append("starts", _start_row(2, began))
    _corpus_rows(writer)
    taken_up = plans[0]
    first = min(1, taken_up["last"]) + 1
    _attempt(write, store, taken_up, clock, attempt=2, first=first, last=taken_up["last"], state=taken_up["state"])
    for plan in plans[1:]:
        _attempt(write, store, plan, clock, attempt=1, first=0, last=plan["last"], state=plan["state"])
    if not running:
        writer.append("starts", {**_start_row(2, began), "ended": clock.now, "outcome": "finished", "revision": 1})
    writer.commit()


class _Events:
    """Appends rows and commits at every n-th event."""

    def __init__(self, writer: TableWriter, commit_every: int) -> None:
        self._writer = writer
        self._commit_every = commit_every
        self._events = 0

    def add(self, *rows: tuple[str, dict[str, Any]]) -> None:
        for table, row in rows:
            self._writer.append(table, row)
        self._events += 1
        if self._events % self._commit_every == 0:
            self._writer.commit()


def _attempt(
    write: _Events,
    store: Store,
    plan: dict[str, Any],
    clock: _Clock,
    *,
    attempt: int,
    first: int,
    last: int,
    state: str,
) -> None:
    """Epochs first..last of an attempt; a state other than running gets its end."""
    began = clock.now
    row = _trial_row(plan, attempt, began, first - 1)
    write.add(("trials", row))
    for epoch in range(first, last + 1):
        seconds = EPOCH_S * (0.25 if epoch == 0 else 1.0 + 0.05 * math.sin(epoch + plan["seed"]))
        eer = plan["curve"][epoch]
        metrics = {"metric.eer": eer, "metric.min_dcf": min(1.0, 2.6 * eer)}
        if epoch:
            metrics["metric.train_loss"] = 3.0 * math.exp(-0.35 * epoch) + eer
        time = clock.passes(seconds)
        base = {"trial_id": plan["trial_id"], "attempt": attempt, "epoch": epoch, "time": time, "duration_s": seconds}
        row = {**row, "epochs": epoch, "revision": row["revision"] + 1, "objective": eer}
        write.add(("epochs", {**base, **metrics}), ("trials", row))
    if state == "running":
        return
    end: dict[str, Any] = {"state": state, "ended": clock.now, "duration_s": (clock.now - began).total_seconds()}
    if state == "failed":
        traceback = f"Traceback (most recent call last):\n  in loop.fit\n    step()\n{plan['error']}\n"
        end |= {"error": plan["error"], "traceback": traceback}
    if state == "complete":
        end["scores"] = f"{plan['trial_id']}-a{attempt}.arrow"
        store.write(f"tables/scores/{end['scores']}", encode(_scores(plan)))
        if plan["test"]:
            write.add(("readings", _reading(plan, attempt, clock.now)))
    write.add(("trials", {**row, **end, "revision": row["revision"] + 1}))


def _reading(plan: dict[str, Any], attempt: int, time: datetime) -> dict[str, Any]:
    """The test set is a little harder than dev."""
    eer = 1.1 * plan["curve"][plan["last"]] + random.Random(f"test {plan['trial_id']}").gauss(0.0, 0.002)
    facts = {"trial_id": plan["trial_id"], "attempt": attempt, "split": "test", "time": time, "scored": 24}
    return {**facts, "fingerprint": "7e57", "metric.eer": eer, "metric.min_dcf": min(1.0, 2.6 * eer)}


def _trial_row(plan: dict[str, Any], attempt: int, began: datetime, done: int) -> dict[str, Any]:
    kept = {key: plan[key] for key in ("trial_id", "config_id", "phase", "arm", "number", "seed", "node", "lane")}
    return kept | {
        "attempt": attempt,
        "revision": 0,
        "state": "running",
        "epochs": max(0, done),
        "objective": plan["curve"][done] if done >= 0 else None,
        "epochs_planned": plan["planned"],
        "started": began,
        "workers": 1,
        "restarts": attempt - 1,
        "code_hash": CODE_HASH,
        **{f"knob.{name}": value for name, value in plan["knobs"].items()},
    }


def _scores(plan: dict[str, Any], pairs: int = 24) -> pa.Table:
    rng = random.Random(plan["trial_id"])
    labels = [index % 2 == 0 for index in range(pairs)]
    rows = {
        "split": ["dev"] * pairs,
        "left": [f"s{index % 6}-u0" for index in range(pairs)],
        "right": [f"s{(index % 6 + (not label)) % 6}-u{1 + index % 3}" for index, label in enumerate(labels)],
        "label": labels,
        "score": pa.array([rng.gauss(0.6 if label else 0.1, 0.2) for label in labels], pa.float32()),
    }
    scores = pa.table(rows)
    if not plan["test"]:
        return scores
    return pa.concat_tables([scores, scores.set_column(0, "split", pa.array(["test"] * pairs))])


def _corpus_rows(writer: TableWriter) -> None:
    for role, utterances, speakers, hours in (("train", 800, 160, 0.9), ("dev", 100, 20, 0.11)):
        row = {"role": role, "utterances": utterances, "speakers": speakers, "hours": hours}
        writer.append("corpus", {**row, "source": "synthetic", "fingerprint": FINGERPRINT})
    for number, reason in ((17, "no such file"), (203, "0 bytes"), (204, "shorter than 0.4 s: 0.1 s")):
        row = {"source": "manifest.csv", "row": number, "path": f"wav/s{number:03d}/u1.flac", "reason": reason}
        writer.append("rejected", row)


def _start_row(start: int, time: datetime) -> dict[str, Any]:
    origin = _provenance()
    return {
        "start": start,
        "time": time,
        "command": origin["command"],
        "code_hash": CODE_HASH,
        "git_commit": origin["git_commit"],
        "diff_hash": None,
        "versions": json.dumps(origin["versions"]),
        "machine": json.dumps(origin["machine"]),
        "pid": 4000 + start,
        "revision": 0,
    }


def _provenance() -> dict[str, Any]:
    return {
        "command": "voxstudy run demo --run runs/demo",
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
        "diff_hash": None,
        "code_hash": CODE_HASH,
        "corpus_fingerprint": FINGERPRINT,
        "study_seed": 0,
        "versions": {"python": "3.11.7", "torch": "2.9.1", "ray": "2.60.0", "optuna": "5.0.0", "polars": "2.1.0"},
        "machine": {"processor": "x86_64", "cores": 2, "memory_gb": 7.6, "system": "Linux"},
    }
