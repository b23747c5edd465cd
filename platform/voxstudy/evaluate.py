"""`voxstudy evaluate`: an exported net on a corpus, or again on the test set of its run."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
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
from trainables.corpora.corpus import AudioCache, Corpus
from trainables.corpora.examination import Progress
from trainables.corpora.scored import Scored
from trainables.embedding import plan_pairs, score_trials
from trainables.exported import Model, load_model
from trainables.loop import reset_process
from trainables.metrics import equal_error_rate, minimum_detection_cost
from trainables.scores import scores_table
from voxstudy.asked import Asked, asked_roles, open_asked, refuse_other_data
from voxstudy.heard_before import heard_before, sentences_of
from voxstudy.version import VERSION

EVERY_S = 10.0  # between two lines of progress
PLACED = ("evaluation.json", "evaluation.md", "det.svg", "scores.arrow")

Say = Callable[[str], object]


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
    found = words.evaluate_trials(trials_of(scored, scores_P), metrics=metrics, progress=progress_lines(say))
    sentences = sentences_of(model, scored, asked, split)
    if out is not None:
        facts = {
            "format": 1,
            "voxstudy": VERSION,
            "model": {"folder": folder, "trial": model.facts["trial"], "weights": model.facts["weights"]["sha256"]},
            "corpus": corpus_facts(model, scored, asked, split),
            "computed_on": {"device": str(model.device), "threads": threads, "torch": torch.__version__},
        }
        write_evaluation(out, found, scored, facts=facts, sentences=sentences, split=split, scores_P=scores_P)
    for sentence in sentences:
        say(sentence)
    say(words.aligned(*words.table_rows(found)))
    for note in words.notes_of(found):
        say(note)
    return found


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


def corpus_facts(model: Model, scored: Scored, asked: Asked, split: str) -> dict[str, Any]:
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
        "speakers_named_as_heard": heard_before(model, corpus),
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
    out: str,
    found: words.Evaluation,
    scored: Scored,
    *,
    facts: Mapping[str, Any],
    sentences: Sequence[str],
    split: str,
    scores_P: NDArray[np.float32],
) -> None:
    """Write the four files of an evaluation, each whole, over those of an earlier one; raises RunError."""
    folder = Path(out)
    files = {
        "scores.arrow": scores_arrow(scored, scores_P, split),
        "det.svg": found.det_svg.encode(),
        "evaluation.md": words.as_markdown(
            found, "Evaluation", sentences, notes=scored.notes, left_out=list(map(str, scored.rejected))
        ),
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


def progress_lines(say: Say) -> Callable[[str, int, int], None]:
    """Say now and then how many draws of a part's speakers were made."""
    last = time.monotonic()

    def told(part: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > EVERY_S:
            last = time.monotonic()
            say(f"interval of {part}: {done:,} of {total:,} draws of speakers")

    return told
