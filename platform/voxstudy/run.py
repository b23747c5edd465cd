"""`voxstudy run`: from a study and a run directory to tables and a report; it starts, continues and extends."""

import importlib
from functools import partial
from typing import Any

from rich.console import Console

from reports.manifest import read_manifest
from reports.page import write_report
from reports.reading import read_run
from reports.store import Store, StoreError
from reports.tables import TableWriter, next_start
from search_spaces.problems import Problem, StudyError
from search_spaces.reading import ReadStudy
from search_spaces.registry import CONFIGS
from search_spaces.study import BASELINE, Study
from trainables.batches import PlanError
from trainables.corpora.banks import ROLES as BANK_ROLES
from trainables.corpora.banks import held_of
from trainables.corpora.sources import open_roles
from trainables.corpora.splits import Splits
from voxstudy.agenda import Agenda
from voxstudy.cluster import stop_on_sigterm
from voxstudy.continuing import refuse_contradictions
from voxstudy.initial import InitialWeights
from voxstudy.ledger import Ledger
from voxstudy.lock import driver_lock
from voxstudy.outcome import STOPPED, end_start, outcome_of, start_row
from voxstudy.provenance import as_json, code_hash, provenance
from voxstudy.sweep import sweep


def run_study(read: ReadStudy, run: str, *, allow_code_change: bool, console: Console) -> int:
    """Start, continue or extend a run; returns the exit code.

    Raises ValueError children for whatever the user can mend: a study that contradicts the run, a corpus that cannot be
    read, a cluster that cannot hold a lane, a second driver.
    """
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    stop_on_sigterm()
    try:
        with driver_lock(run):
            return _run(read, run, allow_code_change=allow_code_change, console=console)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
    except StoreError as error:
        say(f"stopped: {error}\nNothing that was committed is lost; the same command goes on when this is mended")
    return STOPPED


def _run(read: ReadStudy, run: str, *, allow_code_change: bool, console: Console) -> int:
    say = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    store = Store(run)
    manifest = read_manifest(store)
    is_new = manifest is None or not manifest.fragments  # a driver killed before its first commit left nothing
    weights = InitialWeights(read.study)
    splits = open_corpus(read, console)
    refuse_plans(read.study, splits)
    if not is_new:
        refuse_contradictions(read, read_run(run), splits, allow_code_change=allow_code_change)
    ledger = _open_ledger(read, store, splits, is_new=is_new)
    agenda = Agenda(read.study, ledger, weights)
    agenda.refuse_other_arms()
    say(_opening_words(run, agenda, is_new=is_new))
    if agenda.is_done:
        outcome = outcome_of(ledger, agenda)
        end_start(ledger, agenda, outcome, console)
    else:
        outcome = sweep(read, run, ledger, agenda, splits, weights, console)
    store.delete_folder(".ray")  # of killed drivers too
    html, markdown = write_report(run)
    say(f"report: {html}\n        {markdown}")
    return outcome.exit_code


def open_corpus(read: ReadStudy, console: Console) -> Splits:
    """Check the corpus of a study, saying what is left out of it."""
    config = CONFIGS[read.study.trainable]

    def progress(done: int, total: int) -> None:
        if done % 1000 == 0 or done == total:
            console.print(f"corpus: {done} of {total} files checked", highlight=False, soft_wrap=True)

    splits = open_roles(read.study.corpus, sample_rate=config.sample_rate, progress=progress)
    for note in splits.notes:
        console.print(f"corpus: {note}", highlight=False, markup=False)
    for bad in splits.rejected:
        console.print(f"left out: {bad.source} row {bad.row}: {bad.path}: {bad.reason}", style="yellow", markup=False)
    if splits.rejected:
        console.print(f"{len(splits.rejected)} bad files left out, {splits.train.table.num_rows} train utterances kept")
    return splits


def refuse_plans(study: Study, splits: Splits) -> None:
    """Raise StudyError if the train corpus fills no batch of the baseline or of an arm; each sentence once."""
    module = importlib.import_module(f"trainables.{study.trainable}")
    problems: dict[str, Problem] = {}
    for name, params in ((BASELINE, {}), *((arm.name, arm.config) for arm in study.arms)):
        try:
            module.require_plan(study.config_of(params), splits.train.table)
        except PlanError as error:
            problems.setdefault(str(error), Problem(f"arm {name!r}", str(error)))
    if problems:
        raise StudyError(problems.values())


def _open_ledger(read: ReadStudy, store: Store, splits: Splits, *, is_new: bool) -> Ledger:
    """The run's directory with this start in it, and the ledger over its tables."""
    study = read.study
    # Before the tables: whoever finds tables finds these too, wherever a driver was killed.
    if is_new:
        store.write("study.toml", read.source)
        facts = provenance(
            fingerprint=splits.fingerprint,
            test_fingerprint=splits.test_fingerprint,
            seed=study.seed,
            seeds=study.seeds,
        )
        store.write("provenance.json", as_json(facts))
    store.write("resolved.toml", read.resolved.encode())
    start = next_start(store)
    writer = TableWriter(store, start, study.trainable)
    ledger = Ledger(
        study=study,
        fingerprint=splits.fingerprint,
        test_fingerprint=splits.test_fingerprint,
        code_hash=code_hash(),
        writer=writer,
        start=start,
        workers=study.resources.workers,
    )
    if not is_new:
        ledger.load(read_run(store.uri))
    for row in corpus_rows(read, splits):
        writer.append("corpus", {"start": start, **row})
    for bad in splits.rejected:
        row = {"start": start, "source": bad.source, "row": bad.row, "path": bad.path, "reason": bad.reason}
        writer.append("rejected", row)
    ledger.open_start(start_row())
    return ledger


def corpus_rows(read: ReadStudy, splits: Splits) -> list[dict[str, Any]]:
    """What each role held; noise and rooms have clips, and nobody who speaks."""
    given = read.study.corpus
    rows: list[dict[str, Any]] = []
    for role, corpus in (("train", splits.train), ("dev", splits.dev), ("test", splits.test)):
        if corpus is not None:
            row = {"role": role, "utterances": len(corpus), "speakers": corpus.num_speakers, "hours": corpus.hours}
            sources = ", ".join(each.source for each in given.get(role, given["train"]))
            rows.append({**row, "source": sources, "fingerprint": corpus.fingerprint})
    if splits.bank is not None:
        for role in BANK_ROLES:
            held = held_of(splits.bank, role)
            row = {"role": role, "utterances": held.clips, "speakers": 0, "hours": held.hours}
            rows.append({**row, "source": given[role][0].source, "fingerprint": held.fingerprint})
    return rows


def _opening_words(run: str, agenda: Agenda, *, is_new: bool) -> str:
    if is_new:
        return f"run {run}: {agenda.target} trials to do"
    orphans = agenda.num_orphans
    again = f", {orphans} unfinished ones go on from their checkpoints" if orphans else ""
    return f"run {run}: {agenda.num_done} of {agenda.target} trials done already{again}"
