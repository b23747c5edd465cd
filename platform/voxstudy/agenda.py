"""What a run does next: unfinished trials of a dead driver first, then the arms, then what Optuna asks for."""

from search_spaces.study import BASELINE, Study
from voxstudy.ledger import COMPLETE, FAILED, PRUNED, RUNNING, Ledger, Trial
from voxstudy.sampler import Asker

SEARCH_SEEDS = 1_000_000  # the search's seeds start here, far from the arms' 1..n: a search seed never enters a verdict


class Agenda:
    """Hands out trials in a fixed order and knows when the target is reached."""

    def __init__(self, study: Study, ledger: Ledger):
        self._study = study
        self._ledger = ledger
        search = [t for t in ledger.trials.values() if t.phase == "search"]
        self._asker = Asker(study, sorted(search, key=lambda t: t.number or 0))

    def next_trial(self) -> Trial | None:
        """The next trial to run, recorded and committed; None when everything was handed out."""
        if self._ledger.orphans:
            return self._ledger.issue_again()
        for arm, seed in self._arms_to_run():
            params = {} if arm == BASELINE else next(dict(a.config) for a in self._study.arms if a.name == arm)
            return self._ledger.issue(phase="arm", arm=arm, number=None, seed=seed, params=params)
        if self._study.search is not None and self._asker.next_number < self._study.search.trials:
            number, params = self._asker.ask()
            return self._ledger.issue(
                phase="search", arm=None, number=number, seed=SEARCH_SEEDS + number, params=params
            )
        return None

    def tell(self, trial: Trial) -> None:
        """Pass the end of a trial on to Optuna; arms are none of its business."""
        if trial.phase == "search":
            self._asker.tell(trial)

    @property
    def target(self) -> int:
        """How many trials the study asks for, over all starts of the run."""
        arms = self._study.seeds * (1 + len(self._study.arms))
        return arms + (self._study.search.trials if self._study.search is not None else 0)

    @property
    def num_done(self) -> int:
        """How many of them have ended: complete, pruned or failed. Trials beyond a lowered total are not counted."""
        ended = self._ledger.in_state(COMPLETE, PRUNED, FAILED)
        arms = sum(t.phase == "arm" and t.seed <= self._study.seeds for t in ended)
        total = self._study.search.trials if self._study.search is not None else 0
        return arms + min(total, sum(t.phase == "search" for t in ended))

    @property
    def is_done(self) -> bool:
        """Whether the target is reached and nothing was left unfinished."""
        return self.num_done >= self.target and not self._ledger.in_state(RUNNING)

    @property
    def num_orphans(self) -> int:
        """How many unfinished trials of a dead driver wait to go on."""
        return len(self._ledger.orphans)

    def _arms_to_run(self) -> list[tuple[str, int]]:
        """(arm, seed) pairs not issued yet, seed by seed, so that an interrupted study has whole pairs."""
        issued = {(t.arm, t.seed) for t in self._ledger.trials.values() if t.phase == "arm"}
        names = [BASELINE, *(arm.name for arm in self._study.arms)]
        wanted = [(name, seed) for seed in range(1, self._study.seeds + 1) for name in names]
        return [pair for pair in wanted if pair not in issued]
