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

from search_spaces.checks import study_problems
from search_spaces.knobs import knobs_of
from search_spaces.overrides import Overridden
from search_spaces.problems import Problem, StudyError, unknown_name
from search_spaces.ranges import written_out
from search_spaces.registry import CONFIGS
from search_spaces.scales import scale_problems
from search_spaces.study import Study


@dataclass(frozen=True)
class ReadStudy:
    """A study as it will be run.

    `source` is the file byte for byte; `resolved` is TOML of what the command line made of it, with absolute paths,
    every searched range written out and, as `study` too, without scales. `scales` are those that the file has, `scale`
    is the one that was chosen.
    """

    study: Study
    name: str
    path: str
    source: bytes
    resolved: str
    scale: str | None = None
    scales: tuple[str, ...] = ()


def read_study(
    name_or_path: str,
    *,
    corpus: Sequence[str] = (),
    trials: int | None = None,
    seeds: int | None = None,
    scale: str | None = None,
    workers: int | None = None,
    sets: Sequence[str] = (),
) -> ReadStudy:
    """A shipped study by its name, or one from a file; StudyError with all problems if it cannot be run.

    Args:
        name_or_path: "demo", or a path: anything with a slash or the ending .toml.
        corpus: `SOURCE` (replaces the whole corpus) and `ROLE=SOURCE` options.
        trials: the total of the search.
        seeds: how many seeds each arm and confirmed config has.
        scale: the name of one of the file's scales, which goes over the file and under the other options.
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
    # Nobody keeps a corpus beside the shipped studies: their paths start where the command is given.
    overridden = Overridden(raw, folder=Path.cwd() if _is_shipped(name_or_path) else Path(str(found)).resolve().parent)
    under_scales = scale_problems(overridden.raw)
    overridden.set_scale(scale)
    overridden.set_corpus(corpus, Path.cwd())
    overridden.set_trials(trials)
    overridden.set_seeds(seeds)
    overridden.set_workers(workers)
    overridden.set_knobs(sets)
    chosen = under_scales.get(scale or "", {})
    problems = overridden.problems + [overridden.place(one, label, chosen) for one in study_problems(overridden.raw)]
    problems += [one.at(f"{label}: ") for under in under_scales.values() for one in under.values()]
    if problems:
        raise StudyError(dict.fromkeys(problems))
    study, resolved = _settle(overridden.raw)
    return ReadStudy(
        study=study,
        name=Path(found.name).stem,
        path=str(found),
        source=source,
        resolved=resolved,
        scale=scale,
        scales=tuple(raw.get("scale", {})),
    )


def parse_study(source: bytes, *, label: str) -> Study:
    """A study from a file's bytes, where the file is not on this machine (a run's resolved.toml); errors as above."""
    raw = _parse(source, label)
    problems = study_problems(raw)
    if problems:
        raise StudyError(problem.at(f"{label}: ") for problem in problems)
    return _settle(raw)[0]


def shipped_studies() -> list[str]:
    """The names of the studies that come with voxstudy."""
    return sorted(Path(item.name).stem for item in _shelf().iterdir() if item.name.endswith(".toml"))


def _shelf() -> Traversable:
    return importlib.resources.files("search_spaces") / "studies"


def _is_shipped(name_or_path: str) -> bool:
    return name_or_path in shipped_studies()


def _find(name_or_path: str) -> Path | Traversable:
    is_path = name_or_path.endswith(".toml") or os.sep in name_or_path
    if _is_shipped(name_or_path):
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


def _settle(raw: Mapping[str, Any]) -> tuple[Study, str]:
    """A study without problems and scales, its searched ranges written out, and the TOML that says the same."""
    settled = {key: value for key, value in raw.items() if key != "scale"}
    if "search" in settled:
        knobs = knobs_of(CONFIGS[settled["trainable"]])
        space = {name: written_out(knobs[name], entry) for name, entry in settled["search"]["space"].items()}
        settled["search"] = {**settled["search"], "space": space}
    study = Study.model_validate(settled, by_alias=True, by_name=False)
    full = study.model_dump(mode="json", by_alias=True, exclude={"scale"}, exclude_none=True)
    for role, sources in full["corpus"].items():  # a source of which all is taken is a text, as a person writes it
        full["corpus"][role] = [each if each["where"] or "condition" in each else each["source"] for each in sources]
    return study, tomli_w.dumps(full)
