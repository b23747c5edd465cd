"""Study files from text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search_spaces.problems import StudyError
from search_spaces.reading import ReadStudy, read_study

HEAD = """
title = "What is asked?"
trainable = "contrastive_mixup"
objective = [{ metric = "eer", goal = "minimize" }]
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReadStudy]:
    """Writes study.toml with a text and reads it, from its own folder."""
    monkeypatch.chdir(tmp_path)

    def read_text(text: str, **options: object) -> ReadStudy:
        Path("study.toml").write_text(text, encoding="utf-8")
        return read_study("study.toml", **options)  # type: ignore[arg-type]

    return read_text


@pytest.fixture
def read_body(read: Callable[..., ReadStudy]) -> Callable[..., ReadStudy]:
    """Reads a study whose title, trainable and objective are fine."""
    return lambda body, **options: read(HEAD + body, **options)


@pytest.fixture
def mistakes(read_body: Callable[..., ReadStudy]) -> Callable[..., list[str]]:
    """The messages about a study whose title, trainable and objective are fine."""

    def messages(body: str, **options: object) -> list[str]:
        with pytest.raises(StudyError) as caught:
            read_body(body, **options)
        return [str(problem).removeprefix("study.toml: ") for problem in caught.value.problems]

    return messages
