"""Batches that a corpus cannot fill: a sentence before anything is started, and in a trial one for all ranks."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy, read_study
from trainables.batches import PlanError
from trainables.worker import IN_WORDS
from voxstudy.debug import debug_trial
from voxstudy.run import run_study

ARMS = """
[[arm]]
name = "larger"
config = { batch_speakers = 20 }
[[arm]]
name = "larger and wider"
config = { batch_speakers = 20, width = 8 }
[[arm]]
name = "fewer"
config = { train_utterances = 2, batch_utterances = 2 }
[[arm]]
name = "triples"
config = { batch_utterances = 4 }
"""
RULE = "batch_speakers: must be at most the number of train speakers with"


@pytest.fixture
def read(small_study: Path) -> Any:
    """Reads the small study, of 16 train speakers with 3 utterances each, with options and more text."""

    def with_more(text: str = "", **options: Any) -> ReadStudy:
        small_study.write_text(small_study.read_text() + text)
        return read_study(str(small_study), **options)

    return with_more


def test_a_batch_larger_than_the_corpus_is_refused_before_ray_is_started(read: Any, tmp_path: Path) -> None:
    """With the arm and the knob, for all arms at once; nothing is written."""
    stream = io.StringIO()
    with pytest.raises(StudyError) as error:
        run_study(read(ARMS), str(tmp_path / "run"), allow_code_change=False, console=Console(file=stream))

    assert [
        f"arm 'larger': {RULE} 2 utterances, but got batch_speakers=20 and 16 speakers",
        f"arm 'triples': {RULE} 4 utterances, but got batch_speakers=8 and 0 speakers",
    ] == [str(problem) for problem in error.value.problems]
    assert "starting Ray" not in stream.getvalue()
    assert not list((tmp_path / "run").rglob("*.toml"))


def test_debug_refuses_it_too(read: Any) -> None:
    """The baseline is an arm: "paper"."""
    with pytest.raises(StudyError, match=f"^arm 'paper': {RULE} 2 utterances, but got batch_speakers=17"):
        debug_trial(read(sets=["batch_speakers=17"]), Console(quiet=True))


@pytest.mark.parametrize(("workers", "negatives", "told"), [(2, "local", 1), (2, "gather", 0), (1, "local", 0)])
def test_debug_says_what_one_worker_changes(read: Any, workers: int, negatives: str, told: int) -> None:
    """Once, and only where the run would have more."""
    stream = io.StringIO()
    words = ["epochs=1", f"negatives={negatives}", "augmentation=false"]
    debug_trial(read(sets=words, workers=workers), Console(file=stream, width=200))

    line = '--debug trains with one worker: negatives = "local" is "gather" with one worker'
    assert told == stream.getvalue().count(line) == stream.getvalue().count("--debug")


def test_a_searched_batch_that_cannot_be_filled_fails_its_trial_in_a_sentence() -> None:
    """All ranks find it alike, so that the lane goes on without a new group of workers."""
    assert PlanError in IN_WORDS
