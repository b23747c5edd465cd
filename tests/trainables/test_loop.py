"""The loop around a trial: rows, re-sending, stopping, resuming, diverging, and what a trial starts from."""

from dataclasses import dataclass, field

import pyarrow as pa
import pytest
import torch
from torch import nn

from trainables.checkpoints import Checkpoints, InitialError, weights_of
from trainables.loop import Directive, Diverged, fit

FOLDER = "checkpoints/abc"


class KilledError(Exception):
    """The process ended here."""


@dataclass
class Driver:
    """The other side of a trial: it takes rows, commits them at once, and may stop or kill the trial."""

    store: object
    rows: list = field(default_factory=list)
    stop_at: int | None = None  # answers "stop" to the row of this epoch
    kill_at: int | None = None  # the process ends as it reports this epoch: the row is lost
    asked: int = 0
    stop_when_asked: int | None = None
    tables: list = field(default_factory=list)  # the scores that were written

    def report(self, row):
        if row["epoch"] == self.kill_at:
            raise KilledError
        self.rows.append(row)
        return Directive(stop=row["epoch"] == self.stop_at, committed=row["epoch"])

    def stopped(self):
        self.asked += 1
        return self.asked == self.stop_when_asked

    def run(self, build_task, *, seen=-1, attempt=1, seed=0, **options):
        """One attempt."""

        def write_scores(table):
            self.tables.append(table)
            return f"scores of attempt {attempt}: {table.num_rows}"

        return fit(
            build_task=build_task,
            seed=seed,
            seen=seen,
            report=self.report,
            stopped=self.stopped,
            wrap=lambda module: module,
            checkpoints=Checkpoints(self.store, FOLDER, attempt),
            write_scores=write_scores,
            rank=0,
            threads=1,
            **options,
        )

    def metrics(self):
        """What was measured, without what a clock said."""
        return [(row["epoch"], row["metrics"]) for row in self.rows]


@pytest.fixture
def driver(store):
    return Driver(store)


def weights(store, name):
    """The module, optimizer and scheduler of a checkpoint, its tensors as bytes."""
    _, state, _ = Checkpoints(store, FOLDER, 9).load_newest(epoch=name)
    return {part: plain(value) for part, value in state.items()}


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_an_epoch_is_a_row(driver, make_task, capsys):
    """Epoch 0 is the untrained net; the last row names the scores; a line is printed an epoch."""
    assert "complete" == driver.run(make_task)
    assert [0, 1, 2, 3] == [row["epoch"] for row in driver.rows]
    assert ["eer", "min_dcf"] == list(driver.rows[0]["metrics"])
    assert all(["train_loss", "eer", "min_dcf"] == list(row["metrics"]) for row in driver.rows[1:])
    assert not any(row["resent"] for row in driver.rows)
    assert [False, False, False, True] == ["scores" in row for row in driver.rows]
    assert "scores of attempt 1: 190" == driver.rows[-1]["scores"]
    assert all(row["duration_s"] > 0 for row in driver.rows)
    lines = capsys.readouterr().out.splitlines()

    assert ["epoch 0/3", "epoch 1/3", "epoch 2/3", "epoch 3/3"] == [line[:9] for line in lines]


def test_the_last_two_checkpoints_are_kept(driver, make_task):
    """What the tables have is pruned behind the trial."""
    driver.run(make_task)

    assert ["a001-e00002.pt", "a001-e00003.pt"] == driver.store.names(FOLDER)


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_killed_trial_equals_an_uninterrupted_one(store, make_task, epoch):
    """Killed as it reports an epoch, then continued: the same rows and weights to the last bit."""
    whole = Driver(type(store)())
    whole.run(make_task)
    driver = Driver(store, kill_at=epoch)
    with pytest.raises(KilledError):
        driver.run(make_task)
    driver.kill_at = None

    assert "complete" == driver.run(make_task, seen=epoch - 1, attempt=2)
    assert whole.metrics() == driver.metrics()
    assert [e == epoch for e in range(4)] == [row["resent"] for row in driver.rows]
    assert weights(whole.store, 3) == weights(store, 3)


def test_a_trial_killed_in_the_middle_of_an_epoch_loses_that_epoch_alone(store, make_task):
    """The steps since the last checkpoint are done again, and come out the same."""
    whole = Driver(type(store)())
    whole.run(make_task)
    driver = Driver(store, stop_when_asked=6)
    driver.run(make_task)
    seen = driver.rows[-1]["epoch"]
    driver.stop_when_asked = None
    driver.run(make_task, seen=seen, attempt=2)

    assert 0 < seen < 3
    assert whole.metrics() == driver.metrics()
    assert weights(whole.store, 3) == weights(store, 3)


def test_a_kill_within_a_pass_loses_nothing(store, make_task):
    """An epoch of two passes, each utterance augmented, gradients cut: stopped in the second pass, then continued."""

    def task():
        return make_task(passes=2, augmentation=True, partner="derangement", pooling="asp", gradient_clip=1.0, epochs=2)

    whole = Driver(type(store)())
    whole.run(task)
    # One question an epoch and one a step, 4 steps an epoch: this one is before the last step of epoch 2.
    driver = Driver(store, stop_when_asked=1 + 5 + 5)
    driver.run(task)

    assert 1 == driver.rows[-1]["epoch"]
    driver.stop_when_asked = None
    driver.run(task, seen=1, attempt=2)

    assert whole.metrics() == driver.metrics()
    assert weights(whole.store, 2) == weights(store, 2)


def test_rows_that_the_driver_lost_are_sent_again(store, make_task):
    """A driver that died knows less than the checkpoint does: its rows come first, then new ones."""
    driver = Driver(store, stop_at=2)

    assert "stopped" == driver.run(make_task)
    later = Driver(store)

    assert "complete" == later.run(make_task, seen=0, attempt=2)
    assert [(1, True), (2, True), (3, False)] == [(row["epoch"], row["resent"]) for row in later.rows]
    assert driver.metrics()[1:] == later.metrics()[:2]


def test_a_stop_counts_for_rows_sent_again(store, make_task):
    """A stopper that decides on a re-sent row is obeyed."""
    Driver(store, stop_at=2).run(make_task)
    later = Driver(store, stop_at=1)

    assert "stopped" == later.run(make_task, seen=-1, attempt=2)
    assert [0, 1] == [row["epoch"] for row in later.rows]


@pytest.mark.parametrize("seen", [1, 3])
def test_a_finished_trial_gives_its_scores_again(store, make_task, seen):
    """All epochs done and the end unknown to the driver: no training, the last row with newly written scores."""
    first = Driver(store)
    first.run(make_task)
    later = Driver(store)

    assert "complete" == later.run(make_task, seen=seen, attempt=2)
    assert first.metrics()[min(seen + 1, 3) :] == later.metrics()
    assert all(row["resent"] for row in later.rows)
    assert "scores of attempt 2: 190" == later.rows[-1]["scores"]


def test_a_lost_checkpoint_does_not_double_rows(store, make_task):
    """Epochs that the driver has and that must be trained again are not reported again."""
    driver = Driver(store, stop_at=2)
    driver.run(make_task)
    for name in store.names(FOLDER):
        store.delete(f"{FOLDER}/{name}")
    driver.stop_at = None
    driver.run(make_task, seen=2, attempt=2)

    assert [0, 1, 2, 3] == [row["epoch"] for row in driver.rows]


def test_a_damaged_checkpoint_costs_an_epoch(store, make_task, capsys):
    """The one before is used; the result is the same."""
    whole = Driver(type(store)())
    whole.run(make_task)
    driver = Driver(store, stop_at=2)
    driver.run(make_task)
    path = f"{FOLDER}/a001-e00002.pt"
    store.write(path, store.read(path)[:1000])
    driver.stop_at = None
    driver.run(make_task, seen=2, attempt=2)

    assert f"warning: {path} skipped" in capsys.readouterr().out
    assert whole.metrics() == driver.metrics()


@pytest.mark.parametrize("question", [1, 2, 4])
def test_a_stop_ends_the_trial_within_a_step(driver, make_task, question):
    """After the question that is answered yes there is no further one, and no further row."""
    driver.stop_when_asked = question

    assert "stopped" == driver.run(make_task)
    assert question == driver.asked
    assert [[], [0], [0]][[1, 2, 4].index(question)] == [row["epoch"] for row in driver.rows]


def test_a_trial_that_is_stopped_at_its_last_row_is_complete(driver, make_task):
    """It did all it had to."""
    driver.stop_at = 3

    assert "complete" == driver.run(make_task)


def test_the_test_set_is_scored_once_after_the_last_epoch(driver, make_task, splits, capsys):
    """The last row has its metrics and the number of its trials, rows before know nothing; the scores have both."""
    plain = Driver(type(driver.store)())
    plain.run(make_task)
    driver.run(make_task, score_test=True)
    (table,), test = driver.tables, driver.rows[-1]["test"]

    assert plain.metrics() == driver.metrics()
    assert [False, False, False, True] == ["test" in row for row in driver.rows]
    assert not any("test" in row for row in plain.rows)
    assert ["eer", "min_dcf"] == list(test["metrics"])
    assert test["metrics"] != {name: driver.rows[-1]["metrics"][name] for name in test["metrics"]}
    assert len(splits.trials) == test["scored"]
    assert ["dev"] * 190 + ["test"] * test["scored"] == table["split"].to_pylist()
    assert "scores of attempt 1: 190" == plain.rows[-1]["scores"]
    assert 1 == capsys.readouterr().out.count("test  eer")


def test_a_kill_while_the_test_set_is_scored_loses_nothing(store, make_task):
    """Its training is in the checkpoint; dev and test are scored again, and come out the same."""
    whole = Driver(type(store)())
    whole.run(make_task, score_test=True)

    def killed_in_test():
        task = make_task()
        task.test = lambda: driver.report({"epoch": driver.kill_at})
        return task

    driver = Driver(store, kill_at=9)
    with pytest.raises(KilledError):
        driver.run(killed_in_test, score_test=True)

    assert [0, 1, 2] == [row["epoch"] for row in driver.rows]
    driver.run(make_task, seen=2, attempt=2, score_test=True)

    assert whole.metrics() == driver.metrics()
    assert whole.rows[-1]["test"] == driver.rows[-1]["test"]
    assert driver.rows[-1]["resent"]
    assert whole.tables == driver.tables


def test_a_finished_trial_gives_its_test_scores_again(store, make_task):
    """As it gives those of dev, whatever the driver has seen."""
    first, later = Driver(store), Driver(store)
    first.run(make_task, score_test=True)
    later.run(make_task, seen=3, attempt=2, score_test=True)

    assert first.rows[-1]["test"] == later.rows[-1]["test"]
    assert first.tables == later.tables
    assert [3] == [row["epoch"] for row in later.rows]


def weights_after(store):
    """What gives another trial this one's weights."""
    return lambda: Checkpoints(store, FOLDER, 1).load_newest()[1]


def test_a_trial_starts_from_the_weights_of_another(store, make_task):
    """Its epoch 0 is the other's last, to the last bit; then it goes its own way, its optimizer new."""
    source, driver, plain = Driver(store), Driver(type(store)()), Driver(type(store)())
    source.run(make_task)
    driver.run(make_task, initial=weights_after(store))
    plain.run(make_task)
    last = {name: value for name, value in source.rows[-1]["metrics"].items() if name != "train_loss"}

    assert last == driver.rows[0]["metrics"]
    assert plain.rows[0]["metrics"] != driver.rows[0]["metrics"]
    assert plain.rows[1]["metrics"] != driver.rows[1]["metrics"]
    steps = {
        float(entry["step"])
        for entry in Checkpoints(driver.store, FOLDER, 1).load_newest()[1]["optimizer"]["state"].values()
    }
    assert steps == {float(entry["step"]) for entry in weights_after(plain.store)()["optimizer"]["state"].values()}


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_trial_does_not_start_from_them_again(store, make_task, epoch):
    """Killed and resumed it equals an uninterrupted one, and its own checkpoint is all it asks for."""
    source, whole = Driver(type(store)()), Driver(type(store)())
    source.run(make_task)
    whole.run(make_task, initial=weights_after(source.store))
    driver = Driver(store, kill_at=epoch)
    with pytest.raises(KilledError):
        driver.run(make_task, initial=weights_after(source.store))
    driver.kill_at = None
    driver.run(make_task, seen=epoch - 1, attempt=2, initial=lambda: pytest.fail("asked for the weights again"))

    assert whole.metrics() == driver.metrics()
    assert weights(whole.store, 3) == weights(store, 3)


def test_weights_that_do_not_fit_are_named(store, make_task):
    """Nothing is trained, nothing is reported."""
    wide = Driver(store)
    wide.run(lambda: make_task(width=8, epochs=1))
    driver = Driver(type(store)())
    with pytest.raises(
        InitialError, match=r"the weights to start from do not fit: \S+ has shape .* and \d+ more$"
    ) as caught:
        driver.run(make_task, initial=weights_after(store))

    assert 1 == len(str(caught.value).splitlines())
    assert [] == driver.rows == driver.store.names(FOLDER)


def test_missing_weights_are_the_trials_own_failure(driver, make_task, store):
    """What looked for them says so in a line."""
    with pytest.raises(InitialError, match="the weights to start from are missing: trial abc has no checkpoint"):
        driver.run(make_task, initial=lambda: weights_of(store, "abc"))


def spoil():
    """What an ill-behaved trial may leave behind."""
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_autocast_enabled("cpu", True)
    torch.set_float32_matmul_precision("medium")
    torch.rand(17)


def test_a_used_process_equals_a_fresh_one(store, make_task):
    """Another trial before, and everything global changed: the same rows and weights to the last bit."""
    fresh = Driver(type(store)())
    fresh.run(make_task)
    Driver(type(store)()).run(lambda: make_task(seed=5, loss="ap", width=8, precision="bf16", epochs=1), seed=5)
    spoil()
    used = Driver(store)
    used.run(make_task)

    assert fresh.metrics() == used.metrics()
    assert weights(fresh.store, 3) == weights(store, 3)
    assert 1 == torch.get_num_threads()
    assert torch.float32 == torch.get_default_dtype()
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_seeds_make_different_trials(store, make_task):
    """Another seed, another untrained net and other batches."""
    one, other = Driver(store), Driver(type(store)())
    one.run(make_task)
    other.run(lambda: make_task(seed=1), seed=1)

    assert one.metrics()[0] != other.metrics()[0]
    assert one.metrics()[1] != other.metrics()[1]


class Noise(nn.Module):
    """A loss that draws from torch's own random numbers, as dropout does."""

    def __init__(self, until):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.left = until

    def forward(self, _batch):
        self.left -= 1
        return self.weight * torch.rand(()) * (float("nan") if self.left == 0 else 1.0)


class Toy:
    """A task without speech; it has no `after_step`."""

    def __init__(self, *, until=-1, eer=0.5, test_eer=0.5, gradient_clip=0.0, module=None):
        self.module, self.epochs, self.eer, self.test_eer = module or Noise(until), 3, eer, test_eer
        self.gradient_clip = gradient_clip

    def optimizer(self):
        optimizer = torch.optim.SGD(self.module.parameters(), lr=0.01)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)

    def batches(self, _epoch):
        return range(2)

    def evaluate(self):
        return {"eer": self.eer}

    def test(self):
        return {"eer": self.test_eer}

    def scores(self):
        return pa.table({"score": [0.5]})


def test_a_loss_that_is_not_finite_ends_the_trial(driver):
    """It says at which epoch, what, and which learning rate was set; nothing of that epoch is kept."""
    with pytest.raises(Diverged) as caught:
        driver.run(lambda: Toy(until=5))

    assert "diverged at epoch 3, loss nan, learning_rate 0.01" == str(caught.value)
    assert [0, 1, 2] == [row["epoch"] for row in driver.rows]
    assert 2 == Checkpoints(driver.store, FOLDER, 1).load_newest()[0]


class Steep(nn.Module):
    """A loss of 0 whose gradient is (3, 4) in each step, or not a number from step `until` on."""

    def __init__(self, until=-1):
        super().__init__()
        self.three, self.four = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(2, 1))
        self.left = until

    def forward(self, _batch):
        self.left -= 1
        value = (3 * self.three + torch.tensor([4.0, 0.0]) @ self.four).sum()
        # The root's slope at 0 is infinite, and 0 * inf is not a number.
        return (value - value.detach()) + (0 * (value - value.detach()).abs().sqrt() if self.left == 0 else 0)


@pytest.mark.parametrize(
    ("gradient_clip", "step"),
    [(0.0, (3.0, 4.0)), (2.5, (1.5, 2.0)), (5.1, (3.0, 4.0))],
    ids=["off", "half", "above the norm"],
)
def test_the_gradient_is_cut_to_its_largest_norm(store, gradient_clip, step):
    """The 2-norm over all parameters, 5 here; the direction stays, and so does a gradient that is small enough."""
    driver = Driver(store, stop_at=1)
    task = Toy(gradient_clip=gradient_clip, module=Steep())
    driver.run(lambda: task)

    # Two steps at learning rate 0.01.
    assert [1 - 0.02 * step[0]] == pytest.approx(task.module.three.tolist())
    assert [[pytest.approx(1 - 0.02 * step[1])], [1.0]] == task.module.four.tolist()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_learning_rate_that_is_too_high_is_named(driver, make_task, precision):
    """The first steps throw the weights out of range, the loss of a later one says so."""
    with pytest.raises(Diverged, match=r"^diverged at epoch 1, loss nan, learning_rate 1e\+10$"):
        driver.run(lambda: make_task(precision=precision, learning_rate=1e10, passes=3))


def test_a_gradient_that_is_not_finite_ends_the_trial(driver):
    """Where gradients are cut it is seen before the step, while the loss is finite."""
    with pytest.raises(Diverged) as caught:
        driver.run(lambda: Toy(gradient_clip=1.0, module=Steep(until=5)))

    assert "diverged at epoch 3, gradient norm nan, learning_rate 0.01" == str(caught.value)
    assert [0, 1, 2] == [row["epoch"] for row in driver.rows]


def test_a_metric_that_is_not_finite_ends_the_trial(driver):
    """The last step of an epoch may spoil the net after its loss was looked at."""
    with pytest.raises(Diverged, match=r"diverged at epoch 0, eer inf, learning_rate 0\.01"):
        driver.run(lambda: Toy(eer=float("inf")))


def test_a_test_metric_that_is_not_finite_ends_the_trial(driver):
    """Rather than being reported as a result; that it was on test is said."""
    with pytest.raises(Diverged, match=r"diverged at epoch 3, test eer nan, learning_rate 0\.01"):
        driver.run(lambda: Toy(test_eer=float("nan")), score_test=True)

    assert [0, 1, 2] == [row["epoch"] for row in driver.rows]


def test_random_numbers_of_an_epoch_do_not_depend_on_those_before(store):
    """Torch's own stream is started anew every epoch: resumed equals uninterrupted for dropout too."""
    whole = Driver(type(store)())
    whole.run(Toy)
    driver = Driver(store, stop_at=1)
    driver.run(Toy)
    driver.run(Toy, seen=1, attempt=2)

    assert 3 == len({row["metrics"]["train_loss"] for row in whole.rows[1:]})
    assert whole.metrics() == driver.metrics()
