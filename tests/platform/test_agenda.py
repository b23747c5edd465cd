"""What a run does next, and what its ledger makes of the tables after a kill."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from reports.measured import searched_best
from reports.reading import read_run
from reports.store import Store
from reports.tables import TableWriter, next_start
from search_spaces.problems import StudyError
from search_spaces.study import Study
from voxstudy.agenda import SEARCH_SEEDS, Agenda
from voxstudy.initial import InitialWeights
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
        test_fingerprint="t",
        code_hash="c",
        writer=TableWriter(store, start, "contrastive_mixup"),
        start=start,
        workers=1,
    )
    if start > 1:
        ledger.load(read_run(str(folder)))
    return ledger


def _agenda(ledger: Ledger) -> Agenda:
    return Agenda(ledger.study, ledger, InitialWeights(ledger.study))


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
    agenda = _agenda(ledger)
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
    agenda = _agenda(ledger)
    first, second = agenda.next_trial(), agenda.next_trial()
    assert first is not None
    assert second is not None
    _epochs(ledger, first, 0.5, 0.4)
    ledger.commit()
    _epochs(ledger, second, 0.5)  # buffered, and lost with the driver
    ledger = _ledger(tmp_path)
    agenda = _agenda(ledger)

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
    trial = _agenda(ledger).next_trial()
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
    agenda = _agenda(ledger)
    _all(agenda, ledger)
    again = _ledger(tmp_path)

    assert ledger.trials.keys() == again.trials.keys()
    for key, trial in ledger.trials.items():
        found = again.trials[key]
        assert (trial.config, trial.metrics, trial.state) == (found.config, found.metrics, found.state)
        assert (trial.phase, trial.arm, trial.number, trial.seed) == (found.phase, found.arm, found.number, found.seed)
    assert _agenda(again).next_trial() is None


def test_more_trials_and_seeds_extend_a_finished_run(tmp_path: Path) -> None:
    """Exactly what is missing is issued."""
    ledger = _ledger(tmp_path)
    _all(_agenda(ledger), ledger)
    search = {**STUDY["search"], "trials": 4}  # type: ignore[dict-item]
    ledger = _ledger(tmp_path, seeds=3, search=search)
    trials = _all(_agenda(ledger), ledger)

    assert [("paper", 3, None), ("AP loss", 3, None), (None, SEARCH_SEEDS + 3, 3)] == [
        (t.arm, t.seed, t.number) for t in trials
    ]


def test_failed_trial_counts_and_is_not_repeated(tmp_path: Path) -> None:
    """A failed trial is an outcome: the search goes on with the next number."""
    ledger = _ledger(tmp_path, seeds=1, arm=[])
    agenda = _agenda(ledger)
    for _ in range(2):
        trial = agenda.next_trial()
        assert trial is not None
        agenda.tell(ledger.finish(trial.trial_id, FAILED, error="ValueError: no", traceback="…"))
    ledger = _ledger(tmp_path, seeds=1, arm=[])
    agenda = _agenda(ledger)

    assert (2, 4) == (agenda.num_done, agenda.target)
    following = agenda.next_trial()
    assert following is not None
    assert following.number == 1


CONFIRMING = {"seeds": 2, "arm": [], "confirm": {"top": 2}, "search": {**STUDY["search"], "trials": 4}}  # type: ignore[dict-item]


def _search(agenda: Agenda, ledger: Ledger, values: list[float | None]) -> list[Trial]:
    """Run everything up to the end of the search; its trials end with `values`, None is one that was stopped early."""
    found = []
    while (trial := agenda.next_trial()) is not None:
        value = values[trial.number] if trial.phase == "search" and trial.number is not None else 0.5
        if trial.phase == "confirm":
            return [trial]
        _epochs(ledger, trial, 0.5, *([0.5, value] if value is not None else []))
        agenda.tell(ledger.finish(trial.trial_id, COMPLETE if value is not None else PRUNED))
        found.append(trial)
    return found


def test_the_best_of_the_search_are_confirmed_over_the_seeds(tmp_path: Path) -> None:
    """After the search its best configs run over the arms' seeds, seed by seed; a stopped trial is none of them."""
    ledger = _ledger(tmp_path, **CONFIRMING)
    agenda = _agenda(ledger)
    assert agenda.target == 2 + 4 + 4
    first = _search(agenda, ledger, [0.3, 0.1, None, 0.2])
    rest = _all(agenda, ledger)

    found = [(t.phase, t.number, t.seed) for t in (*first, *rest)]
    assert [("confirm", 1, 1), ("confirm", 3, 1), ("confirm", 1, 2), ("confirm", 3, 2)] == found
    searched = {t.number: t.config_id for t in ledger.trials.values() if t.phase == "search"}
    assert [searched[1], searched[3]] == [first[0].config_id, rest[0].config_id]


def test_nothing_is_confirmed_while_the_search_goes_on(tmp_path: Path) -> None:
    """A running search trial may still be among the best: the agenda waits, and says so."""
    ledger = _ledger(tmp_path, **CONFIRMING)
    agenda = _agenda(ledger)
    issued = [agenda.next_trial() for _ in range(6)]

    assert agenda.next_trial() is None
    assert agenda.is_waiting
    assert not agenda.is_done
    for trial in issued:
        assert trial is not None
        assert agenda.next_trial() is None
        _epochs(ledger, trial, 0.5, 0.5, 0.1)
        agenda.tell(ledger.finish(trial.trial_id, COMPLETE))
    following = agenda.next_trial()
    assert following is not None
    assert following.phase == "confirm"


def test_more_seeds_after_the_end_run_exactly_what_is_missing(tmp_path: Path) -> None:
    """Arms and confirmed configs get the new seeds; the search and its choice stay."""
    ledger = _ledger(tmp_path, **CONFIRMING)
    agenda = _agenda(ledger)
    _search(agenda, ledger, [0.3, 0.1, None, 0.2])
    before = {*ledger.trials}
    for trial in ledger.in_state("running"):
        _epochs(ledger, trial, 0.5, 0.5, 0.1)
        ledger.finish(trial.trial_id, COMPLETE)
    _all(agenda, ledger)
    assert agenda.is_done
    more = _ledger(tmp_path, **{**CONFIRMING, "seeds": 3})
    agenda = _agenda(more)

    assert (10, 13) == (agenda.num_done, agenda.target)
    new = [(t.phase, t.number, t.seed) for t in _all(agenda, more)]
    assert [("arm", None, 3), ("confirm", 1, 3), ("confirm", 3, 3)] == new
    assert agenda.is_done
    assert before <= {*more.trials}


def test_a_longer_search_confirms_its_new_best_beside_the_old(tmp_path: Path) -> None:
    """What was confirmed once stays a part of the study."""
    ledger = _ledger(tmp_path, **{**CONFIRMING, "seeds": 1, "confirm": {"top": 1}})
    agenda = _agenda(ledger)
    old = _search(agenda, ledger, [0.3, 0.1, 0.2, 0.2])[0]
    _epochs(ledger, old, 0.5, 0.5, 0.1)
    ledger.finish(old.trial_id, COMPLETE)
    search = {**STUDY["search"], "trials": 5}  # type: ignore[dict-item]
    more = _ledger(tmp_path, **{**CONFIRMING, "seeds": 1, "confirm": {"top": 1}, "search": search})
    agenda = _agenda(more)
    new = _search(agenda, more, [None] * 4 + [0.05])

    assert [("confirm", 4, 1)] == [(t.phase, t.number, t.seed) for t in new]
    assert agenda.target == 1 + 5 + 2


def test_a_config_that_equals_an_arm_is_confirmed_by_it(tmp_path: Path) -> None:
    """The same config over the same seeds is one trial, not two."""
    space = {"loss": {"choices": ["ap", "contrastive_mixup"]}}
    changes = {**CONFIRMING, "search": {"trials": 4, "sampler": "random", "space": space}}
    ledger = _ledger(tmp_path, **{**changes, "arm": [{"name": "AP loss", "config": {"loss": "ap"}}]})
    agenda = _agenda(ledger)
    trials = _all(agenda, ledger)

    assert {"arm", "search"} == {t.phase for t in trials}
    assert agenda.is_done
    assert agenda.num_done == agenda.target == 2 * 2 + 4


def test_a_failed_search_leaves_nothing_to_confirm(tmp_path: Path) -> None:
    """No config is complete: the study ends all the same."""
    ledger = _ledger(tmp_path, **CONFIRMING)
    agenda = _agenda(ledger)
    _search(agenda, ledger, [None] * 4)

    assert agenda.is_done
    assert agenda.num_done == agenda.target == 6


CHAIN = [
    {"name": "third", "config": {"loss": "ap"}, "init_from": "second"},
    {"name": "second", "config": {"loss": "ap"}, "init_from": "paper"},
]


def test_an_arm_waits_for_the_weights_it_starts_from(tmp_path: Path) -> None:
    """Seed by seed, and with an identity of its own although the knobs are the same."""
    ledger = _ledger(tmp_path, seeds=1, arm=CHAIN, search=None)
    agenda = _agenda(ledger)
    order: list[Trial] = []
    for name in ("paper", "second", "third"):
        trial = agenda.next_trial()
        assert trial is not None
        assert name == trial.arm
        assert (order[-1].trial_id if order else None) == trial.init
        assert agenda.next_trial() is None
        assert agenda.is_waiting
        order.append(trial)
        _epochs(ledger, trial, 0.5, 0.4, 0.3)
        ledger.finish(trial.trial_id, COMPLETE)

    assert agenda.is_done
    assert 3 == len({t.config_id for t in order})
    again = _ledger(tmp_path, seeds=1, arm=CHAIN, search=None)
    assert [t.init for t in order] == [again.trials[t.trial_id].init for t in order]
    assert _agenda(again).is_done


def test_arms_without_weights_to_start_from_fail_with_the_reason(tmp_path: Path) -> None:
    """A failed source ends everything that follows from it, and the study goes on to its end."""
    ledger = _ledger(tmp_path, seeds=1, arm=CHAIN, search=None)
    agenda = _agenda(ledger)
    first = agenda.next_trial()
    assert first is not None
    ledger.finish(first.trial_id, FAILED, error="no")

    assert agenda.next_trial() is None
    assert agenda.is_done
    assert 3 == len(ledger.in_state(FAILED))
    assert _ledger(tmp_path, seeds=1, arm=CHAIN, search=None).orphans == ()
    rows = read_run(str(tmp_path)).trials.collect()
    assert "the arm 'paper' that it starts from failed with seed 1" in rows["error"].to_list()


def test_weights_of_another_run(tmp_path: Path) -> None:
    """Seed by seed from an arm, or one trial for all seeds; what is not there is named before anything starts."""
    source = _ledger(tmp_path / "source", search=None)
    _all(_agenda(source), source)
    trained = {(t.arm, t.seed): t.trial_id for t in source.trials.values()}
    other = str(tmp_path / "source")

    def study(**init_from: Any) -> Study:
        arm = {"name": "tuned", "init_from": {"run": other, **init_from}}
        return Study.model_validate({**STUDY, "search": None, "arm": [arm]})

    by_seed = InitialWeights(study(arm="AP loss"))
    assert [trained["AP loss", seed] for seed in (1, 2)] == [by_seed.foreign("tuned", seed).trial_id for seed in (1, 2)]  # type: ignore[union-attr]
    one = InitialWeights(study(trial=trained["paper", 2]))
    assert {trained["paper", 2]} == {one.foreign("tuned", seed).trial_id for seed in (1, 2)}  # type: ignore[union-attr]
    assert by_seed.config_id("tuned") != one.config_id("tuned") != one.config_id("paper")
    with pytest.raises(StudyError, match=r"arm\[1\].init_from.arm: .* has no arm 'AP los'; did you mean 'AP loss'"):
        InitialWeights(study(arm="AP los"))
    with pytest.raises(StudyError, match="no complete trial 'x'"):
        InitialWeights(study(trial="x"))
    with pytest.raises(StudyError, match="3, 4 is missing \\(it has 1, 2\\)"):
        InitialWeights(study(arm="paper").model_copy(update={"seeds": 4}))
    twins = [{"name": n, "init_from": {"run": other, "arm": "paper"}} for n in ("one", "two")]
    with pytest.raises(StudyError, match=r"arm\[2\]: starts from the same weights as the arm 'one'"):
        InitialWeights(Study.model_validate({**STUDY, "search": None, "arm": twins}))
    other = str(tmp_path / "nothing")
    with pytest.raises(StudyError, match=r"arm\[1\].init_from.run: .*no such run"):
        InitialWeights(study(arm="paper"))


def test_the_test_set_is_recorded_with_the_trial_that_read_it(tmp_path: Path) -> None:
    """A reading is committed with the end of its trial, in one swap."""
    ledger = _ledger(tmp_path, seeds=1, arm=[], search=None)
    trial = _agenda(ledger).next_trial()
    assert trial is not None
    _epochs(ledger, trial, 0.5, 0.4, 0.3)
    ledger.finish(trial.trial_id, COMPLETE, test={"metrics": {"eer": 0.35}, "scored": 9})
    rows = read_run(str(tmp_path)).readings.collect().to_dicts()

    assert [(trial.trial_id, "test", 9, "t", 0.35)] == [
        (r["trial_id"], r["split"], r["scored"], r["fingerprint"], r["metric.eer"]) for r in rows
    ]


def test_an_arm_whose_weights_changed_is_refused(tmp_path: Path) -> None:
    """The other run was made anew: its weights are not those that this run's trials started from."""
    source = _ledger(tmp_path / "source", search=None, seeds=1)
    _all(_agenda(source), source)
    arm = {"name": "tuned", "init_from": {"run": str(tmp_path / "source"), "arm": "paper"}}
    changes = {"seeds": 1, "arm": [arm], "search": None}
    ledger = _ledger(tmp_path / "run", **changes)
    _all(_agenda(ledger), ledger)
    _agenda(ledger).refuse_other_arms()
    shutil.rmtree(tmp_path / "source")
    anew = _ledger(tmp_path / "source", search=None, seeds=1, config={"epochs": 2, "mels": 20})
    _all(_agenda(anew), anew)

    with pytest.raises(StudyError, match="the weights that the arm 'tuned' starts from are not those"):
        _agenda(_ledger(tmp_path / "run", **changes)).refuse_other_arms()


def test_an_extended_search_counts_what_was_confirmed_before(tmp_path: Path) -> None:
    """While the longer search runs, earlier confirmations are done and stay asked for."""
    ledger = _ledger(tmp_path, **CONFIRMING)
    agenda = _agenda(ledger)
    _search(agenda, ledger, [0.3, 0.1, None, 0.2])
    for trial in ledger.in_state("running"):
        _epochs(ledger, trial, 0.5, 0.5, 0.1)
        ledger.finish(trial.trial_id, COMPLETE)
    _all(agenda, ledger)
    search = {**STUDY["search"], "trials": 6}  # type: ignore[dict-item]
    more = _agenda(_ledger(tmp_path, **{**CONFIRMING, "search": search}))

    assert (10, 12) == (more.num_done, more.target)


def test_a_config_goes_by_its_first_complete_trial(tmp_path: Path) -> None:
    """Equal configs of a search are one: a stopped or failed trial gives it neither its value nor its number."""
    space = {"loss": {"choices": ["ap", "ce_mixup"]}}
    changes = {**CONFIRMING, "seeds": 1, "search": {"trials": 12, "sampler": "random", "space": space}}
    ledger = _ledger(tmp_path, **changes)
    agenda = _agenda(ledger)
    first: dict[str, int] = {}
    confirmed: list[tuple[str, int | None]] = []
    while (trial := agenda.next_trial()) is not None:
        if trial.phase == "confirm":
            confirmed.append((trial.config_id, trial.number))
        is_early = trial.phase == "search" and (trial.number or 0) < 4
        _epochs(ledger, trial, 0.5, *([] if is_early else [0.5, 0.3]))
        agenda.tell(ledger.finish(trial.trial_id, PRUNED if is_early else COMPLETE))
        if trial.phase == "search" and not is_early:
            first.setdefault(trial.config_id, trial.number or 0)

    assert 2 == len(first)
    assert sorted(first.items(), key=lambda pair: pair[1]) == confirmed
    assert [key for key, _ in confirmed] == searched_best(read_run(str(tmp_path)).trials.collect(), goal="minimize")
