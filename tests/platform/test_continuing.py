"""What a run that goes on may change, and what it refuses."""

from pathlib import Path

import pytest

from reports.reading import read_run
from reports.store import Store
from reports.tables import TableWriter, next_start
from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy, read_study
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import Splits
from voxstudy.continuing import refuse_contradictions
from voxstudy.ledger import Ledger
from voxstudy.outcome import start_row
from voxstudy.provenance import as_json, code_hash, provenance

STUDY = """
title = "t"
trainable = "contrastive_mixup"
objective = [{{ metric = "eer", goal = "minimize" }}]
[corpus]
train = "synthetic?speakers=4&utterances=2&dev_speakers=2&dev_utterances=2&test_speakers=0"
[config]
batch_speakers = 4
{config}
[resources]
workers = {workers}
{rest}"""
LOCAL = {
    "config": {"config": 'negatives = "local"'},
    "arm": {"rest": '[[arm]]\nname = "local"\nconfig = { negatives = "local" }\n'},
    "search": {"rest": "[search]\ntrials = 2\n[search.space]\nnegatives = true\n"},
}


def study(folder: Path, *, workers: int, config: str = "", rest: str = "") -> ReadStudy:
    path = folder / "study.toml"
    path.write_text(STUDY.format(config=config, workers=workers, rest=rest), encoding="utf-8")
    return read_study(str(path))


@pytest.fixture(scope="module")
def splits() -> Splits:
    """The corpus of the studies here."""
    return open_roles(
        {"train": ["synthetic?speakers=4&utterances=2&dev_speakers=2&dev_utterances=2&test_speakers=0"]},
        sample_rate=16_000,
    )


def begin(folder: Path, read: ReadStudy, splits: Splits) -> Ledger:
    """A run as its first start leaves it, one trial issued."""
    store = Store(str(folder))
    facts = provenance(fingerprint=splits.fingerprint, test_fingerprint=None, seed=read.study.seed, seeds=1)
    store.write("provenance.json", as_json(facts))
    store.write("resolved.toml", read.resolved.encode())
    start = next_start(store)
    ledger = Ledger(
        study=read.study,
        fingerprint=splits.fingerprint,
        test_fingerprint=None,
        code_hash=code_hash(),
        writer=TableWriter(store, start, read.study.trainable),
        start=start,
        workers=read.study.resources.workers,
    )
    ledger.open_start(start_row())
    ledger.issue(phase="arm", arm="paper", number=None, seed=1, params={})
    return ledger


@pytest.mark.parametrize("where", LOCAL)
def test_another_number_of_workers_is_refused_where_a_trial_depends_on_it(
    tmp_path: Path, splits: Splits, where: str
) -> None:
    """Negatives of a worker's own share may come by [config], an arm or the search; the same number goes on."""
    run = tmp_path / "run"
    begin(run, study(tmp_path, workers=1, **LOCAL[where]), splits)
    refuse_contradictions(
        study(tmp_path, workers=1, **LOCAL[where]), read_run(str(run)), splits, allow_code_change=False
    )
    asked = study(tmp_path, workers=2, **LOCAL[where])
    with pytest.raises(StudyError) as caught:
        refuse_contradictions(asked, read_run(str(run)), splits, allow_code_change=False)

    [problem] = caught.value.problems
    assert problem.place.endswith("resources.workers")
    assert 2 == problem.value
    assert "but got 2 where the run has 1; choose another --run" in problem.rule


def test_another_number_of_workers_is_free_where_no_trial_depends_on_it(tmp_path: Path, splits: Splits) -> None:
    """Batches are planned for all workers together."""
    run = tmp_path / "run"
    begin(run, study(tmp_path, workers=1), splits)
    refuse_contradictions(study(tmp_path, workers=2), read_run(str(run)), splits, allow_code_change=False)


@pytest.mark.parametrize(("config", "expected"), [("", 4), ('negatives = "local"', 2)], ids=["gather", "local"])
def test_the_trials_table_says_how_many_speakers_a_query_was_told_apart_from(
    tmp_path: Path, splits: Splits, config: str, expected: int
) -> None:
    """Of a batch of 4 and two workers: all, or a worker's two."""
    run = tmp_path / "run"
    begin(run, study(tmp_path, workers=2, config=config), splits)
    trials = read_run(str(run)).trials.select("workers", "loss_speakers").collect()

    assert [(2, expected)] == trials.rows()
