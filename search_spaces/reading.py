"""Reads a study, shipped or from a file, with the command line's words over it; reports every mistake at once."""

import importlib.resources
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import tomli_w

from search_spaces.checks import meaning_problems, together_problems
from search_spaces.knobs import knobs_of
from search_spaces.overrides import Overridden
from search_spaces.problems import Problem, StudyError, unknown_name
from search_spaces.ranges import written_out
from search_spaces.registry import CONFIGS
from search_spaces.shapes import shape_problems
from search_spaces.study import Study


@dataclass(frozen=True)
class ReadStudy:
    """A study as it will be run.

    `source` is the file byte for byte; `resolved` is TOML of what the command line made of it, with absolute paths
    and every searched range written out.
    """

    study: Study
    name: str
    path: str
    source: bytes
    resolved: str


def read_study(
    name_or_path: str,
    *,
    corpus: Sequence[str] = (),
    trials: int | None = None,
    workers: int | None = None,
    sets: Sequence[str] = (),
) -> ReadStudy:
    """A shipped study by its name, or one from a file; StudyError with all problems if it cannot be run.

    Args:
        name_or_path: "demo", or a path: anything with a slash or the ending .toml.
        corpus: `SOURCE` (replaces the whole corpus) and `ROLE=SOURCE` options.
        trials: the total of the search.
        workers: the workers of each lane.
        sets: `knob=value` options; a knob that is set leaves the search.

    """
    found = _find(name_or_path)
    label = name_or_path if isinstance(found, Path) else found.name
    try:
        source = found.read_bytes()
    except OSError as error:
        raise StudyError([Problem(label, f"cannot be read: {error.strerror}")]) from None
    raw = _parse(source, label)
    overridden = Overridden(raw, folder=Path(str(found)).resolve().parent)
    overridden.set_corpus(corpus, Path.cwd())
    overridden.set_trials(trials)
    overridden.set_workers(workers)
    overridden.set_knobs(sets)
    problems = overridden.problems + [overridden.place(problem, label) for problem in _problems(overridden.raw)]
    if problems:
        raise StudyError(problems)
    study, resolved = _settle(overridden.raw)
    return ReadStudy(study=study, name=Path(found.name).stem, path=str(found), source=source, resolved=resolved)


def parse_study(source: bytes, *, label: str) -> Study:
    """A study from a file's bytes, where the file is not on this machine (a run's resolved.toml); errors as above."""
    raw = _parse(source, label)
    problems = _problems(raw)
    if problems:
        raise StudyError(problem.at(f"{label}: ") for problem in problems)
    return _settle(raw)[0]


def shipped_studies() -> list[str]:
    """The names of the studies that come with voxstudy."""
    return sorted(Path(item.name).stem for item in _shelf().iterdir() if item.name.endswith(".toml"))


def _shelf() -> Traversable:
    return importlib.resources.files("search_spaces") / "studies"


def _find(name_or_path: str) -> Path | Traversable:
    is_path = name_or_path.endswith(".toml") or os.sep in name_or_path
    if not is_path and name_or_path in shipped_studies():
        return _shelf() / f"{name_or_path}.toml"
    path = Path(name_or_path).expanduser()
    if not is_path and not path.is_file():
        problem = unknown_name(
            name_or_path or '""', "no such shipped study, nor a file", name_or_path, shipped_studies()
        )
        raise StudyError([problem])
    if path.is_dir():
        raise StudyError([Problem(name_or_path, "is a folder; a study is a TOML file")])
    if not path.exists():
        stem = path.stem if path.stem in shipped_studies() and os.sep not in name_or_path else None
        raise StudyError([Problem(name_or_path, "no such file", nearest=stem)])
    return path.resolve()


def _parse(source: bytes, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode("utf-8-sig"))  # an editor's byte order mark is no mistake of the user's
    except UnicodeDecodeError as error:
        line = source[: error.start].count(b"\n") + 1
        raise StudyError([Problem(f"{label}: line {line}", "must be UTF-8 text")]) from None
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", str(error), re.DOTALL)
        if found is None:  # at the end of the document
            what = str(error).removesuffix(" (at end of document)")
            raise StudyError([Problem(f"{label}: end of file", f"not TOML: {what}")]) from None
        place = f"{label}: line {found['line']}, column {found['column']}"
        raise StudyError([Problem(place, f"not TOML: {found['what']}")]) from None


def _problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Shape and meaning, each sentence once, in the order of the study's keys."""
    found = [*shape_problems(raw), *meaning_problems(raw)] or together_problems(raw)
    problems = list(dict.fromkeys(map(_hashable, found)))
    keys = list(raw)

    def position(problem: Problem) -> int:
        key = re.split(r"[.\[]", problem.place, maxsplit=1)[0]
        return keys.index(key) if key in keys else len(keys)

    return sorted(problems, key=position)


def _hashable(problem: Problem) -> Problem:
    """The problem with its value as text, where the value is a list or table."""
    value = problem.value if isinstance(problem.value, bool | int | float | str | None) else str(problem.value)
    return Problem(problem.place, problem.rule, value, problem.choices, problem.nearest)


def _settle(raw: Mapping[str, Any]) -> tuple[Study, str]:
    """A study without problems, its searched ranges written out, and the TOML that says the same."""
    settled = dict(raw)
    if "search" in settled:
        knobs = knobs_of(CONFIGS[settled["trainable"]])
        space = {name: written_out(knobs[name], entry) for name, entry in settled["search"]["space"].items()}
        settled["search"] = {**settled["search"], "space": space}
    study = Study.model_validate(settled, by_alias=True, by_name=False)
    full = study.model_dump(mode="json", by_alias=True, exclude_none=True)
    return study, tomli_w.dumps(full)
