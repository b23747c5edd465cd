"""One rank of the tests in test_contrastive_mixup.py: `python trial_ranks.py RANK SIZE FOLDER`.

Results go to FOLDER/SIZE-RANK.pt. It stands beside conftest.py, whose small corpus it uses; the ranks of one size
share a folder as their store.
"""

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from conftest import small_splits, small_task
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from trainables.checkpoints import Checkpoints, InitialError, weights_of
from trainables.loop import Directive, fit

STEPS = {"ap": 3, "ce_mixup": 3, "contrastive_mixup": 20}
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
        losses.append(loss.item())
        gradients = gradients or {name: p.grad.clone() for name, p in task.module.named_parameters()}
        optimizer.step()
        task.after_step()
    return {"losses": losses, "gradients": gradients, "weights": task.module.state_dict()}


def loop(splits, folder, rank, size):
    """A trial that is stopped before a step, then by the driver, then finished, then asked for its end again."""
    rows, outcomes, tasks = [], [], []

    def build_task():
        tasks.append(small_task(splits, rank=rank, size=size))
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
    for loss, steps in STEPS.items():
        knobs = {"seed": SEED, "loss": loss, "beta_alpha": 0.6, "rank": rank, "size": size}
        exact, single = small_task(splits, **knobs), small_task(splits, **knobs)
        exact.module.double()
        results[loss] = [training(exact, steps), training(single, 1)]
    fresh = small_task(splits, rank=rank, size=size)
    results["metrics"] = fresh.evaluate()
    results["scores"] = fresh.scores()["score"].to_pylist()
    results["test"] = [fresh.test(), fresh.scores()["score"].to_pylist()]
    results["loop"] = loop(splits, folder, rank, size)
    results["initial"] = initial(splits, folder, rank, size)
    torch.save(results, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
