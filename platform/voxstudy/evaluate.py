"""`voxstudy evaluate`: an exported net on a corpus, or again on the test set of its run."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from reports import evaluation as words
from reports.fragments import encode
from reports.manifest import RunError
from reports.schema import SCORES, arrow_schema
from reports.words import count
from search_spaces.overrides import ROLE_SOURCE, is_pairs
from search_spaces.problems import nearest_name
from search_spaces.study import Source
from trainables.corpora.corpus import AudioCache, Corpus, CorpusError
from trainables.corpora.examination import Progress
from trainables.corpora.scored import Scored, open_scored, scored_part
from trainables.corpora.sources import open_roles
from trainables.embedding import plan_pairs, score_trials
from trainables.exported import Model, load_model
from trainables.loop import reset_process
from trainables.metrics import equal_error_rate, minimum_detection_cost
from trainables.scores import scores_table
from voxstudy.version import VERSION

SPLITS = ("test", "dev")
ROLES = ("train", "dev", "test", "trials")
PLACED = ("evaluation.json", "evaluation.md", "det.svg", "scores.arrow")

Roles = dict[str, list[str | Source]]
Say = Callable[[str], object]


@dataclass(frozen=True)
class Asked:
    """What is scored: the roles, and whether they are the run's own, as model.json keeps them."""

    roles: Roles
    is_own: bool


def evaluate_model(
    folder: str,
    *,
    corpus: Sequence[str],
    trial_list: str | None,
    split: str,
    out: str | None,
    say: Say,
    progress: Progress | None = None,
) -> words.Evaluation:
    """Score a corpus with an exported net and say what came out; with `out`, write it into that folder too.

    Without `corpus` and `trial_list` it is the run's own test (or dev) set: the same pairs, code and threads give the
    run's numbers again. Raises ModelError, CorpusError or RunError.
    """
    model = load_model(folder)
    for note in model.notes:
        say(f"note: {note}")
    asked = asked_roles(model.facts, corpus=corpus, trial_list=trial_list, split=split)
    # What is the same as in the run must have the same threads, for sums of floats depend on them.
    threads = int(model.facts["trial"].get("threads", 1)) if asked.is_own else torch.get_num_threads()
    reset_process(seed=0, threads=threads)
    scored = open_asked(asked, split=split, sample_rate=model.config.sample_rate, progress=progress)
    for note in scored.notes:
        say(f"corpus: {note}")
    for bad in scored.rejected:
        say(f"left out: {bad}")
    if asked.is_own:
        refuse_other_data(model.facts, scored, split)
    speakers = count(scored.corpus.num_speakers, "speaker")
    say(f"scoring {count(len(scored.pairs), 'pair')} of {speakers} on {model.device}")
    scores_P = score(model, scored)
    found = words.evaluate_trials(trials_of(scored, scores_P), metrics=metrics)
    sentences = sentences_of(model, scored, asked, split)
    if out is not None:
        facts = {
            "format": 1,
            "voxstudy": VERSION,
            "model": {"folder": folder, "trial": model.facts["trial"], "weights": model.facts["weights"]["sha256"]},
            "corpus": corpus_facts(scored, asked, split),
            "computed_on": {"device": str(model.device), "threads": threads, "torch": torch.__version__},
        }
        write_evaluation(out, found, facts=facts, sentences=sentences, scores=scores_arrow(scored, scores_P, split))
    for sentence in sentences:
        say(sentence)
    say(words.aligned(*words.table_rows(found)))
    for note in words.notes_of(found):
        say(note)
    return found


def asked_roles(facts: Mapping[str, Any], *, corpus: Sequence[str], trial_list: str | None, split: str) -> Asked:
    """The sources by role: those of the run, where the options do not say others; raises RunError for bad options.

    `SOURCE` replaces them all by split = SOURCE, `ROLE=SOURCE` one role; given several times it adds.
    """
    if split not in SPLITS:
        raise RunError(f"--split {split}: must be one of {', '.join(SPLITS)}{_near(split, SPLITS)}")
    given: Roles = {}
    is_bare = False
    problems = []
    for option in corpus:
        found = ROLE_SOURCE.fullmatch(option.strip())
        role, source = (found["role"], found["source"]) if found else (split, option.strip())
        is_bare = is_bare or found is None
        if role not in ROLES:
            problems.append(
                f"--corpus {option}: no role {role!r} is scored (roles: {', '.join(ROLES)}){_near(role, ROLES)}"
            )
        elif not source:
            problems.append(f"--corpus {option}: needs a source: --corpus SOURCE or --corpus ROLE=SOURCE")
        else:
            given.setdefault(role, []).append(source)
    if trial_list is not None:
        if "trials" in given:
            problems.append("--trial-list: there is --corpus trials=… already")
        given["trials"] = [trial_list]
    if problems:
        raise RunError("\n".join(problems))
    own = {} if is_bare else {role: _sources(each) for role, each in facts["corpus"]["roles"].items() if role in ROLES}
    if split == "dev" and "trials" in own:
        # A study's list of trials is one of test; how pairs are made holds for dev too.
        own["trials"] = [each for each in own["trials"] if isinstance(each, Source) and is_pairs(each.source)]
    return Asked({**own, **given}, is_own=not given)


def open_asked(asked: Asked, *, split: str, sample_rate: int, progress: Progress | None) -> Scored:
    """Open the corpus that is scored; where it is split off train, as the study does it, all of the roles."""
    if asked.roles.get(split):
        return open_scored(asked.roles, split=split, sample_rate=sample_rate, progress=progress)
    splits = open_roles(asked.roles, sample_rate=sample_rate, progress=progress)
    if split == "dev":
        return scored_part(splits.dev, splits.rejected, splits.notes)
    if splits.test is None or splits.trials is None:
        raise CorpusError(*(note for note in splits.notes if "no test set" in note), "give one: --corpus SOURCE")
    return Scored(splits.test, splits.trials, splits.rejected, splits.notes)


def refuse_other_data(facts: Mapping[str, Any], scored: Scored, split: str) -> None:
    """Raise CorpusError if the run's own set is no longer what the run scored."""
    if split == "test":
        then, now = facts["corpus"]["test_fingerprint"], scored.pairs.fingerprint(scored.corpus)
    else:
        then = next((held["fingerprint"] for held in facts["corpus"]["held"] if held["role"] == split), None)
        now = scored.corpus.fingerprint
    if then is not None and then != now:
        raise CorpusError(
            f"{split}: not what the run scored (fingerprint {now[:12]}, then {then[:12]}): audio, labels, pairs or the "
            f"synthetic voices have changed since; score it as it is now with --corpus"
        )


def score(model: Model, scored: Scored) -> NDArray[np.float32]:
    """The scores of all pairs; RunError if the net gives what is no number."""
    audio = AudioCache(scored.corpus)
    scores_P = score_trials(
        model.module,
        config=model.config,
        audio=audio,
        pairs=scored.pairs,
        crops=plan_pairs(model.config, audio, scored.pairs),
        device=model.device,
    )
    wrong = int((~np.isfinite(scores_P)).sum())
    if wrong:
        raise RunError(f"{model.folder}: {wrong} of {len(scores_P)} scores are no finite numbers")
    return scores_P


def metrics(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> dict[str, float]:
    """What a trial computes."""
    return {
        "eer": equal_error_rate(scores=scores, labels=labels),
        "min_dcf": minimum_detection_cost(scores=scores, labels=labels, target_prior=words.TARGET_PRIOR),
    }


def trials_of(scored: Scored, scores_P: NDArray[np.float32]) -> words.Trials:
    """The pairs with the speakers and genders of their sides."""
    table, pairs = scored.corpus.table, scored.pairs
    speaker_N = table["speaker"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    gender_N = np.asarray(table["gender"].fill_null("").to_pylist(), dtype=np.str_)
    sides_P2 = np.stack([pairs.left, pairs.right], axis=1)
    return words.Trials(scores_P, pairs.label, speaker_N[sides_P2], gender_N[sides_P2])


def sentences_of(model: Model, scored: Scored, asked: Asked, split: str) -> list[str]:
    """Which net was scored on what."""
    corpus = scored.corpus
    whose = f"the {split} set of its run" if asked.is_own else ", ".join(_texts(asked.roles.get(split, [])))
    heard = f"{count(len(corpus), 'utterance')} of {count(corpus.num_speakers, 'speaker')}"
    said = [f"{_upper(model.name)}, on {whose or f'{split}, split off train'}: {heard}, {len(scored.pairs):,} pairs."]
    trained = {held["fingerprint"] for held in model.facts["corpus"]["held"] if held["role"] != split}
    if corpus.fingerprint in trained:
        said.append("This very corpus was heard in training or chosen on: its error rates flatter the net.")
    return said


def corpus_facts(scored: Scored, asked: Asked, split: str) -> dict[str, Any]:
    """What was scored, for evaluation.json."""
    corpus = scored.corpus
    return {
        "split": split,
        "is_the_runs_own": asked.is_own,
        "roles": {
            role: [each if isinstance(each, str) else each.model_dump() for each in given]
            for role, given in asked.roles.items()
        },
        "utterances": len(corpus),
        "speakers": corpus.num_speakers,
        "hours": corpus.hours,
        "fingerprint": corpus.fingerprint,
        "pairs_fingerprint": scored.pairs.fingerprint(corpus),
        "left_out": [str(bad) for bad in scored.rejected],
        "notes": list(scored.notes),
    }


def scores_arrow(scored: Scored, scores_P: NDArray[np.float32], split: str) -> bytes:
    """The scores as a run keeps them: the schema `scores` of docs/tables.md."""
    corpus: Corpus = scored.corpus
    table = scores_table(
        split=split,
        utterances_N=corpus.table["utterance"].to_pylist(),
        left_P=scored.pairs.left,
        right_P=scored.pairs.right,
        label_P=scored.pairs.label,
        score_P=scores_P,
    )
    schema: pa.Schema = arrow_schema(SCORES.name, SCORES.columns)
    return encode(table.cast(schema).replace_schema_metadata(schema.metadata))


def write_evaluation(
    out: str, found: words.Evaluation, *, facts: Mapping[str, Any], sentences: Sequence[str], scores: bytes
) -> None:
    """Write the four files of an evaluation, each whole, over those of an earlier one; raises RunError."""
    folder = Path(out)
    files = {
        "scores.arrow": scores,
        "det.svg": found.det_svg.encode(),
        "evaluation.md": words.as_markdown(found, "Evaluation", sentences),
        "evaluation.json": words.as_json(found, facts),
    }
    assert set(files) == set(PLACED)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            aside = folder / f".{name}.{os.getpid()}"
            try:
                aside.write_bytes(data)
                os.replace(aside, folder / name)
            finally:
                aside.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"--out {out}: cannot be written: {error.strerror}") from error


def _sources(given: Sequence[Mapping[str, Any]]) -> list[str | Source]:
    return [Source.model_validate(each) for each in given]


def _texts(given: Sequence[str | Source]) -> list[str]:
    return [each if isinstance(each, str) else each.source for each in given]


def _near(name: str, names: Sequence[str]) -> str:
    near = nearest_name(name, names)
    return f"; did you mean {near!r}?" if near else ""


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
