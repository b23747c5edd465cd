import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search_spaces.reading import ReadStudy
from search_spaces.study import Source

CORPUS = '[corpus]\ntrain = "synthetic"\n'


def conditions(written: str) -> str:
    """A corpus whose train role is one source with conditions."""
    return f'[corpus]\ntrain = {{ source = "b.csv", where = {{ {written} }} }}'


def test_a_role_is_a_text_a_table_or_a_list_of_these(read_body: Callable[..., ReadStudy], tmp_path: Path) -> None:
    """All forms become sources; relative paths are made absolute in each of them."""
    read = read_body(
        '[corpus]\ntrain = ["a.csv", { source = "b.csv", where = { gender = "F" } }, "synthetic"]\n'
        'dev = { source = "c.csv" }\ntest = "d.csv"\ntrials = "pairs.txt"\n'
    )

    assert {
        "train": (
            Source(source=str(tmp_path / "a.csv")),
            Source(source=str(tmp_path / "b.csv"), where={"gender": "F"}),
            Source(source="synthetic"),
        ),
        "dev": (Source(source=str(tmp_path / "c.csv")),),
        "test": (Source(source=str(tmp_path / "d.csv")),),
        "trials": (Source(source=str(tmp_path / "pairs.txt")),),
    } == read.study.corpus


def test_conditions_are_kept_as_they_are_written(read_body: Callable[..., ReadStudy]) -> None:
    """Equal to a value, one of several, between bounds: also in resolved.toml, where a plain source stays a text."""
    written = 'gender = "F", age = { min = 20, max = 39 }, set = ["a", 2], duration_s = { min = 0.5 }, ok = true'
    read = read_body(conditions(written) + '\ndev = "synthetic"')
    expected: dict[str, Any] = {
        "gender": "F",
        "age": {"min": 20, "max": 39},
        "set": ["a", 2],
        "duration_s": {"min": 0.5},
        "ok": True,
    }
    resolved = tomllib.loads(read.resolved)["corpus"]

    assert expected == read.study.corpus["train"][0].where
    assert expected == resolved["train"][0]["where"]
    assert ["synthetic"] == resolved["dev"]


def test_noise_and_rooms_are_a_folder_each_or_made(read_body: Callable[..., ReadStudy], tmp_path: Path) -> None:
    """Relative paths are made absolute; a role may be replaced by an option; nothing need augment."""
    body = CORPUS + 'noise = "musan"\nrooms = ["synthetic"]\n'
    read = read_body(body)

    assert (Source(source=str(tmp_path / "musan")),) == read.study.corpus["noise"]
    assert (Source(source="synthetic"),) == read.study.corpus["rooms"]
    replaced = read_body(body + "[config]\naugmentation = true\n", corpus=["rooms=/data/rirs"])
    assert (Source(source="/data/rirs"),) == replaced.study.corpus["rooms"]
    other = read_body(body + 'test = "synthetic"\n', corpus=["/data/m.csv"])  # another corpus hears the same
    assert {**read.study.corpus, "train": (Source(source="/data/m.csv"),)} == other.study.corpus


NEEDS = 'needs the roles noise and rooms in [corpus]: "synthetic", or folders as MUSAN and RIRS_NOISES'
BOTH = 'noise = "synthetic"\nrooms = "synthetic"\n'
SEARCHED = "[search]\ntrials = 2\n[search.space]\naugmentation = true\n"
HEARD = '[[arm]]\nname = "heard"\nconfig = { augmentation = true }\n'
PLAIN = '[[arm]]\nname = "AP"\nconfig = { loss = "ap" }\n'
SCALE = '[scale.big]\ncorpus = { train = "synthetic" }\n'


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (CORPUS + "[config]\naugmentation = true", ["config.augmentation"]),
        (CORPUS + "[config]\naugmentation = true\n" + PLAIN, ["config.augmentation"]),
        (CORPUS + HEARD, ["arm[1].config.augmentation"]),
        (CORPUS + "[config]\naugmentation = false\n" + HEARD, ["arm[1].config.augmentation"]),
        (CORPUS + SEARCHED, ["search.space.augmentation"]),
        (CORPUS + BOTH + "[config]\naugmentation = true\n" + SCALE, ["scale.big: config.augmentation"]),
        (CORPUS + BOTH + HEARD + SCALE, ["scale.big: arm[1].config.augmentation"]),
        (CORPUS + "[scale.big]\nconfig = { augmentation = true }", ["scale.big.config.augmentation"]),
        (CORPUS + BOTH + HEARD + SEARCHED, []),
        (CORPUS + HEARD.replace("true", "false, width = 8"), []),
    ],
)
def test_what_augments_needs_noise_and_rooms(
    mistakes: Callable[..., list[str]], read_body: Callable[..., ReadStudy], body: str, places: list[str]
) -> None:
    """Fixed, in an arm, possible in the search, and under a scale, whose corpus is another; said at the knob."""
    if not places:
        assert read_body(body)
        return

    assert [f"{place}: {NEEDS}" for place in places] == mistakes(body)


WRONG = {
    "noise alone": (
        CORPUS + 'noise = "musan"',
        'corpus.noise: needs the role rooms beside it: "synthetic" or a folder as RIRS_NOISES',
    ),
    "rooms alone": (
        CORPUS + 'rooms = "rirs"',
        'corpus.rooms: needs the role noise beside it: "synthetic" or a folder as MUSAN',
    ),
    "rooms misspelt": (
        CORPUS + 'noise = "musan"\nroms = "rirs"',
        "corpus.roms: no role 'roms'; did you mean 'rooms'?",
    ),
    "two noises": (
        CORPUS + 'noise = ["musan", "synthetic"]\nrooms = "synthetic"',
        'corpus.noise: must be one source, "synthetic" or a folder as MUSAN, but got 2',
    ),
    "filtered noise": (
        CORPUS + 'noise = { source = "musan", where = { kind = "music" } }\nrooms = "synthetic"',
        "corpus.noise[1].where: noise is taken as it is; leave out its where",
    ),
    "rooms over the telephone": (
        CORPUS + 'noise = "synthetic"\nrooms = { source = "rirs", condition = "telephone" }',
        "corpus.rooms[1].condition: rooms is taken as it is; leave out its condition",
    ),
    "noise in a bucket": (
        CORPUS + 'noise = "s3://bucket/musan"\nrooms = "synthetic"',
        'corpus.noise[1]: must be "synthetic" or a folder as MUSAN on this machine, but got the URI s3://bucket/musan',
    ),
    "noise with options": (
        CORPUS + 'noise = "synthetic?seed=2"\nrooms = "synthetic"',
        'corpus.noise[1]: must be "synthetic" or a folder as MUSAN; what is made has no options: write "synthetic"',
    ),
    "noise of pairs": (
        CORPUS + 'noise = "pairs"\nrooms = "synthetic"',
        'corpus.noise[1]: must be "synthetic" or a folder as MUSAN; pairs are a source of the role trials',
    ),
    "pairs of an option that there is not": (
        CORPUS + 'trials = "pairs?balanc=gender"',
        "corpus.trials[1]: pairs?balanc=gender: no option 'balanc'; options: balance, most; did you mean 'balance'?",
    ),
    "pairs, too few": (
        CORPUS + 'test = "synthetic"\ntrials = ["t.txt", { source = "pairs?most=9" }]',
        "corpus.trials[2]: pairs?most=9: most is a whole number of at least 10, but got '9'",
    ),
    "unknown key": (
        '[corpus]\ntrain = { source = "b.csv", were = { gender = "F" } }',
        "corpus.train[1].were: a source has no such key; a condition on a column goes into where = { … }; did you mean",
    ),
    "condition beside where": (
        '[corpus]\ntrain = ["a.csv", { source = "b.csv", gender = "F" }]',
        "corpus.train[2].gender: a source has no such key; a condition on a column goes into where",
    ),
    "no source": (
        "[corpus]\ntrain = { where = { age = 3 } }",
        'corpus.train[1].source: is missing: write source = "…"',
    ),
    "source is a number": (
        '[corpus]\ntrain = ["a.csv", 3]',
        "corpus.train[2]: must be a source or a list of sources, but got 3",
    ),
    "source's path is a number": (
        '[corpus]\ntrain = ["a.csv", { source = 3 }]',
        "corpus.train[2].source: must be a string, but got 3",
    ),
    "empty source in a table": ('[corpus]\ntrain = { source = "" }', "corpus.train[1].source: must not be empty"),
    "empty source in a list": ('[corpus]\ntrain = ["a.csv", ""]', "corpus.train[2]: must not be empty"),
    "list in a list": ('[corpus]\ntrain = [["a.csv"]]', "corpus.train[1]: must be a source or a list of sources"),
    "where is a text": (
        '[corpus]\ntrain = { source = "b.csv", where = "gender = F" }',
        'corpus.train[1].where: must be a table, but got "gender = F"',
    ),
    "bound is a text": (
        '[corpus]\ntrain = ["a.csv", { source = "b.csv", where = { age = { min = "20" } } }]',
        'corpus.train[2].where.age.min: must be a finite number, but got "20"',
    ),
    "bound is true": (conditions("age = { max = true }"), "corpus.train[1].where.age.max: must be a finite number"),
    "bound is nan": (conditions("age = { max = nan }"), "corpus.train[1].where.age.max: must be a finite number"),
    "low for min": (
        conditions("age = { min = 20, maxx = 30 }"),
        "corpus.train[1].where.age.maxx: a condition knows no such key; did you mean 'max'? (choices: min, max)",
    ),
    "min above max": (
        conditions("age = { min = 40, max = 39 }"),
        "corpus.train[1].where.age: `min <= max` must hold, but got min=40, max=39",
    ),
    "empty bounds": (
        conditions("age = {}"),
        "corpus.train[1].where.age: must be a value, a list of values or { min = …, max = … }, but got an empty table",
    ),
    "empty list": (conditions("set = []"), "corpus.train[1].where.set: must have at least one value, but got []"),
    "list in a list of values": (
        conditions('set = ["a", ["b"]]'),
        'corpus.train[1].where.set[2]: must be a string, a number, true or false, but got ["b"]',
    ),
    "date": (
        conditions("recorded = 2020-01-31"),
        "corpus.train[1].where.recorded: must be a value, a list of values or { min = …, max = … }, but got 2020-01-31",
    ),
    "infinite": (conditions("age = inf"), "corpus.train[1].where.age: must be a finite number, but got inf"),
    "filtered pairs": (
        CORPUS + 'test = "synthetic"\ntrials = { source = "t.txt", where = { a = 1 } }',
        "corpus.trials[1].where: a list of trial pairs cannot be filtered; filter the utterances of the role test",
    ),
}


@pytest.mark.parametrize(("body", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_one_precise_message(mistakes: Callable[..., list[str]], body: str, expected: str) -> None:
    """Each mistake in a corpus is said once, where it stands."""
    [message] = mistakes(body)

    assert message.startswith(expected)


def test_all_mistakes_of_a_condition_are_found(mistakes: Callable[..., list[str]]) -> None:
    """A wrong bound hides no other column."""
    found = mistakes(conditions('age = { min = "a", max = "b" }, set = []'))

    assert ["age.min", "age.max", "set"] == [
        text.split(": ")[0].removeprefix("corpus.train[1].where.") for text in found
    ]
