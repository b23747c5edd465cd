"""One rank of the tests in test_contrastive_mixup.py: `python trial_ranks.py RANK SIZE FOLDER`.

Results go to FOLDER/SIZE-RANK.pt. It stands beside conftest.py, whose small corpus it uses; the ranks of one size
share a folder as their store.
"""

import copy
import sys
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from conftest import small_splits, small_task
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainables.augmentation import augment, plan_augmentation
from trainables.checkpoints import Checkpoints, InitialError, weights_of
from trainables.corpora.corpus import crop
from trainables.loop import Directive, fit
from trainables.verifier import Crops

ALL = {"augmentation": True, "partner": "derangement", "pooling": "asp", "gradient_clip": 0.5, "beta_alpha": 0.6}
# How many steps, and with which knobs.
CASES = {
    "ap": (3, {"loss": "ap"}),
    "ce_mixup": (3, {"loss": "ce_mixup", "beta_alpha": 0.6}),
    "contrastive_mixup": (3, {"beta_alpha": 0.6}),
    "all, waveform": (20, ALL),
    "all, log_mel": (20, {**ALL, "mixup_level": "log_mel", "loss": "ce_mixup", "passes": 2}),
}
LOCAL = (6, {**ALL, "negatives": "local"})
# With many seeds one of the net's ReLUs has an input so near zero that the rounding of float32 decides its gradient.
SEED = 2


@dataclass(frozen=True)
class FolderStore:
    """A store in a folder, as bare as can be."""

    root: Path

    def write(self, path, data):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def read(self, path):
        return (self.root / path).read_bytes()

    def names(self, folder):
        return [file.name for file in (self.root / folder).glob("*")]

    def delete(self, path):
        (self.root / path).unlink()


def wrap(module):
    return DistributedDataParallel(module) if dist.is_initialized() else module


def training(task, steps):
    """The losses of some steps, the gradients of the first one, and the weights after the last."""
    model = wrap(task.module).train()
    optimizer, _ = task.optimizer()
    losses, gradients = [], {}
    batches = (batch for epoch in range(1, steps + 1) for batch in task.batches(epoch))
    for batch in islice(batches, steps):
        optimizer.zero_grad()
        loss = model(batch)
        loss.backward()
        if task.gradient_clip:
            torch.nn.utils.clip_grad_norm_(task.module.parameters(), task.gradient_clip)
        losses.append(loss.item())
        gradients = gradients or {name: p.grad.clone() for name, p in task.module.named_parameters()}
        optimizer.step()
        task.after_step()
    return {"losses": losses, "gradients": gradients, "weights": task.module.state_dict()}


def local(splits, rank, size):
    """Negatives of a worker's own: by two workers, or share after share in one process; then dev, scored with them."""
    steps, knobs = LOCAL
    task = small_task(splits, seed=SEED, rank=rank, size=size, **knobs)
    task.module.double()
    results = training(task, steps) if size > 1 else share_after_share(task, splits, steps)
    results["metrics"] = task.evaluate()
    results["scores"] = task.scores()["score"].to_pylist()
    results["weights"] = task.module.state_dict()  # with the statistics that were scored with
    return results


def share_after_share(task, splits, steps):
    """What two workers do, step by step: each share's loss by a net of its own, then the mean of their gradients."""
    plan = replace(task._plan, shares=2)
    first, second = task.module.train(), copy.deepcopy(task.module).train()
    optimizer, _ = task.optimizer()
    losses, gradients = [], {}
    batches = ((epoch, *numbered) for epoch in range(1, steps + 1) for numbered in enumerate(plan.batches(epoch)))
    for epoch, number, batch in islice(batches, steps):
        heard_SUT = heard(task, splits, batch, epoch=epoch, number=number)
        optimizer.zero_grad()
        second.zero_grad()
        shares = []
        for module, rows in ((first, slice(0, 2)), (second, slice(2, 4))):
            crops = Crops(
                utterances_SUT=heard_SUT[rows],
                partners_ST=heard_SUT[batch.partner_S[rows], -1],
                partner_G=torch.from_numpy(batch.partner_S[rows] - rows.start),
                ratio=batch.ratio,
            )
            shares.append(module(crops))
            shares[-1].backward()
        losses.append(sum(shares).item() / 2)
        for one, other in zip(first.parameters(), second.parameters(), strict=True):
            one.grad = (one.grad + other.grad) / 2
        torch.nn.utils.clip_grad_norm_(first.parameters(), task.gradient_clip)
        gradients = gradients or {name: p.grad.clone() for name, p in first.named_parameters()}
        optimizer.step()
        task.after_step()
        with torch.no_grad():
            for one, other in zip(first.parameters(), second.parameters(), strict=True):
                other.copy_(one)
    return {"losses": losses, "gradients": gradients}


def heard(task, splits, batch, *, epoch, number):
    """All crops of a batch, read one by one and augmented together."""
    audio, num_samples = task._audio["train"], round(task._config.crop_s * 16_000)
    crops = [
        crop(audio.waveform(int(row)), float(start), num_samples)
        for row, start in zip(batch.utterances_SU.flat, batch.starts_SU.flat, strict=True)
    ]
    plan = plan_augmentation(seed=SEED, epoch=epoch, batch=number, num_crops=len(crops), bank=splits.bank)
    waveforms_BT = augment(torch.from_numpy(np.stack(crops)).double(), plan=plan, bank=splits.bank)
    return waveforms_BT.unflatten(0, batch.utterances_SU.shape)


def loop(splits, folder, rank, size, *, is_straight=False, **knobs):
    """A trial that is stopped before a step, then by the driver, then finished, then asked for its end again.

    `is_straight`: the same trial, not stopped.
    """
    rows, outcomes, tasks = [], [], []

    def build_task():
        tasks.append(small_task(splits, rank=rank, size=size, gradient_clip=1.0, **knobs))
        return tasks[-1]

    def attempt(number, *, seen, stop_at=None, stop_when_asked=None):
        asked = 0

        def stopped():
            nonlocal asked
            asked += 1
            return asked == stop_when_asked

        def report(row):
            rows.append(row)
            return Directive(stop=row["epoch"] == stop_at, committed=row["epoch"])

        outcome = fit(
            build_task=build_task,
            seed=0,
            seen=seen,
            report=report,
            stopped=stopped,
            wrap=wrap,
            checkpoints=Checkpoints(FolderStore(folder / f"run-{size}"), "checkpoints/abc", number),
            write_scores=lambda table: str(table.num_rows),
            rank=rank,
            threads=1,
            score_test=True,
        )
        outcomes.append(outcome)

    if is_straight:
        attempt(1, seen=-1)
    else:
        attempt(1, seen=-1, stop_when_asked=3)
        attempt(2, seen=-1, stop_at=1)
        attempt(3, seen=1)
        attempt(4, seen=3)
    return {"rows": rows, "outcomes": outcomes, "weights": tasks[-1].module.state_dict()}


def initial(splits, folder, rank, size):
    """Epoch 0 of a trial that starts from the weights of `loop`'s; then trials whose weights cannot be used."""
    store = FolderStore(folder / f"run-{size}")
    reads, rows = [], []

    def start(name, trial_id, **knobs):
        def weights():
            reads.append(trial_id)
            return weights_of(store, trial_id)

        def report(row):
            rows.append(row)
            return Directive(stop=True, committed=0)

        try:
            fit(
                build_task=lambda: small_task(splits, seed=7, rank=rank, size=size, **knobs),
                seed=7,
                seen=-1,
                report=report,
                stopped=lambda: False,
                wrap=wrap,
                checkpoints=Checkpoints(store, f"checkpoints/{name}", 1),
                write_scores=lambda _: "",
                rank=rank,
                threads=1,
                initial=weights,
            )
        except InitialError as error:
            return str(error)
        return ""

    start("same", "abc")
    _, _, history = Checkpoints(store, "checkpoints/abc", 1).load_newest()
    expected = {name: history[-1]["metrics"][name] for name in ("eer", "min_dcf")}
    return {
        "reads": len(reads),
        "expected": expected if rank == 0 else None,
        "metrics": rows[0]["metrics"] if rank == 0 else None,
        "wide": start("wide", "abc", width=8),
        "missing": start("missing", "nobody"),
    }


def main(rank, size, folder):
    torch.set_num_threads(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    splits = small_splits()
    results = {}
    for name, (steps, knobs) in CASES.items():
        exact, single = (small_task(splits, seed=SEED, rank=rank, size=size, **knobs) for _ in range(2))
        exact.module.double()
        results[name] = [training(exact, steps), training(single, 1)]
    results["local"] = local(splits, rank, size)
    fresh = small_task(splits, rank=rank, size=size)
    results["metrics"] = fresh.evaluate()
    results["scores"] = fresh.scores()["score"].to_pylist()
    results["test"] = [fresh.test(), fresh.scores()["score"].to_pylist()]
    results["loop"] = loop(splits, folder, rank, size)
    if size > 1:
        for name, knobs in (("loop", {}), ("local loop", {"negatives": "local", "beta_alpha": 0.6})):
            place = folder / name
            results[f"{name}, straight"] = loop(splits, place / "straight", rank, size, is_straight=True, **knobs)
            if knobs:
                results[name] = loop(splits, place, rank, size, **knobs)
    results["initial"] = initial(splits, folder, rank, size)
    torch.save(results, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
