"""What a run does next, and what its ledger makes of the tables after a kill."""

from pathlib import Path
from typing import Any

from reports.reading import read_run
from reports.store import Store
from reports.tables import TableWriter, next_start
from search_spaces.study import Study
from voxstudy.agenda import SEARCH_SEEDS, Agenda
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, Ledger, Trial

STUDY = {
    "title": "t",
    "trainable": "contrastive_mixup",
    "objective": [{"metric": "eer", "goal": "minimize"}],
    "seeds": 2,
    "corpus": {"train": "synthetic"},
    "config": {"epochs": 2},
    "arm": [{"name": "AP loss", "config": {"loss": "ap"}}],
    "search": {"trials": 3, "space": {"beta_alpha": True, "learning_rate": True}},
}
RESOLVED = """
title = "t"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
seeds = 2
corpus = { train = "synthetic" }
config = { epochs = 2 }
arm = [{ name = "AP loss", config = { loss = "ap" } }]
search = { trials = 3, space = { beta_alpha = true, learning_rate = true } }
"""


def _ledger(folder: Path, **changes: Any) -> Ledger:
    """A ledger over a run directory: what the driver makes at a start."""
    store = Store(str(folder))
    store.write("resolved.toml", RESOLVED.encode())
    store.write("provenance.json", b"{}")
    start = next_start(store)
    ledger = Ledger(
        study=Study.model_validate({**STUDY, **changes}),
        fingerprint="f",
        code_hash="c",
        writer=TableWriter(store, start, "contrastive_mixup"),
        start=start,
        workers=1,
    )
    if start > 1:
        ledger.load(read_run(str(folder)))
    return ledger


def _epochs(ledger: Ledger, trial: Trial, *values: float) -> None:
    for epoch, value in enumerate(values, start=trial.last_epoch + 1):
        ledger.add_epoch(trial.trial_id, {"epoch": epoch, "metrics": {"eer": value}, "duration_s": 1.0})


def _all(agenda: Agenda, ledger: Ledger) -> list[Trial]:
    found = []
    while (trial := agenda.next_trial()) is not None:
        found.append(trial)
        _epochs(ledger, trial, *[0.5] * (3 - (trial.last_epoch + 1)))
        agenda.tell(ledger.finish(trial.trial_id, COMPLETE))
    return found


def test_arms_come_first_and_are_paired_over_seeds(tmp_path: Path) -> None:
    """Every arm has the same seeds, the baseline among them; then the search, whose seeds are none of theirs."""
    ledger = _ledger(tmp_path)
    agenda = Agenda(ledger.study, ledger)
    trials = _all(agenda, ledger)
    arms = [(t.arm, t.seed) for t in trials if t.phase == "arm"]

    assert [("paper", 1), ("AP loss", 1), ("paper", 2), ("AP loss", 2)] == arms
    assert [0, 1, 2] == [t.number for t in trials[4:]]
    assert [SEARCH_SEEDS, SEARCH_SEEDS + 1, SEARCH_SEEDS + 2] == [t.seed for t in trials[4:]]
    assert agenda.num_done == agenda.target == 7
    assert len({t.trial_id for t in trials}) == 7


def test_dead_drivers_trials_come_first_again(tmp_path: Path) -> None:
    """A trial left running is issued again as the next attempt, after the last epoch that was committed."""
    ledger = _ledger(tmp_path)
    agenda = Agenda(ledger.study, ledger)
    first, second = agenda.next_trial(), agenda.next_trial()
    assert first is not None
    assert second is not None
    _epochs(ledger, first, 0.5, 0.4)
    ledger.commit()
    _epochs(ledger, second, 0.5)  # buffered, and lost with the driver
    ledger = _ledger(tmp_path)
    agenda = Agenda(ledger.study, ledger)

    assert agenda.num_orphans == 2
    again = [agenda.next_trial(), agenda.next_trial()]
    assert [(first.trial_id, 2, 1), (second.trial_id, 2, -1)] == [
        (t.trial_id, t.attempt, t.last_epoch) for t in again if t is not None
    ]
    later = agenda.next_trial()
    assert later is not None
    assert later.trial_id not in {first.trial_id, second.trial_id}


def test_epochs_are_taken_once_and_in_order(tmp_path: Path) -> None:
    """A repeated row, a gap and a row after the end are not taken."""
    ledger = _ledger(tmp_path)
    trial = Agenda(ledger.study, ledger).next_trial()
    assert trial is not None
    row = {"epoch": 0, "metrics": {"eer": 0.5}, "duration_s": 1.0}

    assert ledger.add_epoch(trial.trial_id, row)
    assert not ledger.add_epoch(trial.trial_id, row)
    assert not ledger.add_epoch(trial.trial_id, {**row, "epoch": 2})
    ledger.finish(trial.trial_id, PRUNED)
    assert not ledger.add_epoch(trial.trial_id, {**row, "epoch": 1})


def test_tables_rebuild_the_ledger(tmp_path: Path) -> None:
    """Everything that decides what happens next is read back from the tables."""
    ledger = _ledger(tmp_path)
    agenda = Agenda(ledger.study, ledger)
    _all(agenda, ledger)
    again = _ledger(tmp_path)

    assert ledger.trials.keys() == again.trials.keys()
    for key, trial in ledger.trials.items():
        found = again.trials[key]
        assert (trial.config, trial.metrics, trial.state) == (found.config, found.metrics, found.state)
        assert (trial.phase, trial.arm, trial.number, trial.seed) == (found.phase, found.arm, found.number, found.seed)
    assert Agenda(again.study, again).next_trial() is None


def test_more_trials_and_seeds_extend_a_finished_run(tmp_path: Path) -> None:
    """Exactly what is missing is issued."""
    ledger = _ledger(tmp_path)
    _all(Agenda(ledger.study, ledger), ledger)
    search = {**STUDY["search"], "trials": 4}  # type: ignore[dict-item]
    ledger = _ledger(tmp_path, seeds=3, search=search)
    trials = _all(Agenda(ledger.study, ledger), ledger)

    assert [("paper", 3, None), ("AP loss", 3, None), (None, SEARCH_SEEDS + 3, 3)] == [
        (t.arm, t.seed, t.number) for t in trials
    ]


def test_failed_trial_counts_and_is_not_repeated(tmp_path: Path) -> None:
    """A failed trial is an outcome: the search goes on with the next number."""
    ledger = _ledger(tmp_path, seeds=1, arm=[])
    agenda = Agenda(ledger.study, ledger)
    for _ in range(2):
        trial = agenda.next_trial()
        assert trial is not None
        agenda.tell(ledger.finish(trial.trial_id, FAILED, error="ValueError: no", traceback="…"))
    ledger = _ledger(tmp_path, seeds=1, arm=[])
    agenda = Agenda(ledger.study, ledger)

    assert (2, 4) == (agenda.num_done, agenda.target)
    following = agenda.next_trial()
    assert following is not None
    assert following.number == 1
