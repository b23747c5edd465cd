from collections.abc import Callable
from pathlib import Path

import pytest

from search_spaces.reading import ReadStudy
from search_spaces.study import OtherRun

CORPUS = '[corpus]\ntrain = "synthetic"\n'


def arms(**sources: str) -> str:
    """Arms without knobs of their own, each with what it starts from; an empty text is none."""
    starts = {name: f"\ninit_from = {source}" if source else "" for name, source in sources.items()}
    return CORPUS + "".join(f'[[arm]]\nname = "{name}"{start}\n' for name, start in starts.items())


def test_an_arm_starts_from_an_arm_or_another_run(read_body: Callable[..., ReadStudy], tmp_path: Path) -> None:
    """Of this study by name; of another run by arm or trial, its path relative to the file unless it is a URI."""
    read = read_body(
        arms(
            A='"paper"',
            B='"A"',
            C='{ run = "runs/x", arm = "AP" }',
            D='{ run = "s3://bucket/x", trial = "0123456789ab" }',
        )
    )

    assert [
        "paper",
        "A",
        OtherRun(run=str(tmp_path / "runs/x"), arm="AP"),
        OtherRun(run="s3://bucket/x", trial="0123456789ab"),
    ] == [arm.init_from for arm in read.study.arms]


def test_an_arm_may_start_from_a_later_one(read_body: Callable[..., ReadStudy]) -> None:
    """The order of the file says nothing about the order of the trials."""

    assert ["B", None] == [arm.init_from for arm in read_body(arms(A='"B"') + AP).study.arms]


AP = '[[arm]]\nname = "B"\nconfig = { loss = "ap" }\n'
WRONG = {
    "unknown arm": (
        arms(first='"B"', second='"frist"') + AP,
        "arm[2].init_from: no arm 'frist'; did you mean 'first'? (choices: paper, first, B)",
    ),
    "a number's name": (
        arms(A='"paper"') + '[[arm]]\nname = "#7"\nconfig = { loss = "ap" }',
        "arm[2].name: configs of the search are called so; give this arm another name than '#7'",
    ),
    "itself": (arms(A='"A"'), "arm[1].init_from: an arm cannot start from itself"),
    "circle": (
        arms(A='"B"', B='"C"', C='"B"'),
        "arm[2].init_from: the arms wait for each other: 'B' from 'C', 'C' from 'B'",
    ),
    "arm and trial": (
        arms(A='{ run = "x", arm = "B", trial = "C" }'),
        "arm[1].init_from: either arm = … (the trial of the same seed) or trial = … (one for all seeds), but got both",
    ),
    "run alone": (
        arms(A='{ run = "x" }'),
        "arm[1].init_from: either arm = … (the trial of the same seed) or trial = … (one for all seeds), but",
    ),
    "no run": (
        arms(A='{ arm = "paper" }'),
        'arm[1].init_from.run: is missing: write run = "runs/…", arm = "paper"',
    ),
    "unknown key": (
        arms(A='{ run = "x", trail = "paper", arm = "B" }'),
        "arm[1].init_from.trail: init_from has no such key; did you mean 'trial'? (choices: run, arm, trial)",
    ),
    "run is a number": (arms(A="{ run = 3, arm = 'B' }"), "arm[1].init_from.run: must be a string, but got 3"),
    "number": (
        arms(A="3"),
        'arm[1].init_from: must be the name of another arm or { run = "runs/…", arm = "paper" }, but got 3',
    ),
    "list": (arms(A='["paper"]'), "arm[1].init_from: must be the name of another arm or"),
    "empty": (arms(A='""'), "arm[1].init_from: must not be empty"),
    "same start": (
        arms(A='"paper"', B='"paper"'),
        "arm[2]: is the same configuration as the arm 'A': no knob that has an effect differs",
    ),
    "same run": (
        arms(A='{ run = "x", arm = "C" }', B='{ run = "./x", arm = "C" }'),
        "arm[2]: is the same configuration as the arm 'A'",
    ),
}


@pytest.mark.parametrize(("body", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_one_precise_message(mistakes: Callable[..., list[str]], body: str, expected: str) -> None:
    """Each mistake about an arm is said once, where it stands."""
    [message] = mistakes(body)

    assert message.startswith(expected)


def test_two_circles_are_two_messages(mistakes: Callable[..., list[str]]) -> None:
    """Each at its first arm."""

    assert ["arm[1].init_from", "arm[3].init_from"] == [
        text.split(": ")[0] for text in mistakes(arms(A='"B"', B='"A"', C='"D"', D='"C"'))
    ]
