"""What the command line says over a study file: --scale, --corpus, --trials, --seeds, --workers, --set."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search_spaces.corpus_checks import LAYOUTS, PAIRS
from search_spaces.problems import Problem, unknown_name
from search_spaces.scales import moved, scaled

NUMBER_WITHOUT_ZERO = re.compile(r"[+-]?\.\d+(e[+-]?\d+)?", re.IGNORECASE)
ROLE_SOURCE = re.compile(r"(?P<role>[A-Za-z_]+)\s*=\s*(?P<source>.*)", re.DOTALL)
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Overridden:
    """A study file's content with the command line's words over it, and where each word came from.

    A scale goes over the file, so it is set before everything else.

    Args:
        raw: what the file says; a changed copy of it is in `self.raw`.
        folder: what relative paths of the file are relative to.

    """

    def __init__(self, raw: Mapping[str, Any], folder: Path) -> None:
        self.raw: dict[str, Any] = _with_absolute_paths(raw, folder)
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}  # place in the file -> option that put the value there
        self.scaled: dict[str, str] = {}  # place in the file -> place in the file's scale that put the value there

    def place(self, problem: Problem, label: str, under_scale: Mapping[Problem, Problem]) -> Problem:
        """A problem's place as the user knows it: the option, or the file and the path inside it.

        `under_scale` are the problems that the file has under the chosen scale, each with its place in the file.
        """
        option = moved(problem, self.places)
        if option is not None:
            return option
        return (under_scale.get(problem) or moved(problem, self.scaled) or problem).at(f"{label}: ")

    def set_scale(self, name: str | None) -> None:
        """One of the file's scales, over what the file says without it."""
        scales = self.raw.get("scale", {})
        if name is None or not isinstance(scales, Mapping):
            return
        if name not in scales:
            rule = "the study has no such scale" if scales else "the study has no scales"
            self.problems.append(unknown_name(f"--scale {name}".rstrip(), rule, name, list(scales)))
            return
        self.raw, self.scaled = scaled(self.raw, name)

    def set_corpus(self, options: Sequence[str], working_directory: Path) -> None:
        """`SOURCE` replaces the whole corpus by train = SOURCE; `ROLE=SOURCE` replaces one role, repeated it adds.

        Noise and rooms are nobody's speech: they stay until they are replaced themselves.
        """
        roles: dict[str, list[str]] = {}
        bare = False
        for option in options:
            found = ROLE_SOURCE.fullmatch(option.strip())
            role, source = (found["role"], found["source"]) if found else ("train", option.strip())
            bare = bare or found is None
            if not source:
                rule = "needs a source: --corpus SOURCE or --corpus ROLE=SOURCE"
                self.problems.append(Problem(f"--corpus {option}".rstrip(), rule, option))
                continue
            roles.setdefault(role, []).append(str(_absolute(source, working_directory)))
        if not roles:
            return
        before = self.raw.get("corpus")
        stay = before if isinstance(before, Mapping) else {}
        kept = {role: sources for role, sources in stay.items() if not bare or role in LAYOUTS}
        self.raw["corpus"] = {**kept, **roles}
        self.places |= {f"corpus.{role}": f"--corpus {role}" for role in roles}

    def set_trials(self, trials: int | None) -> None:
        """The total of the search."""
        if trials is None:
            return
        if not isinstance(self.raw.get("search"), Mapping):
            rule = "the study searches nothing, so there is no number of trials to set"
            self.problems.append(Problem("--trials", rule, trials))
            return
        self.raw["search"] = {**self.raw["search"], "trials": trials}
        self.places["search.trials"] = "--trials"

    def set_seeds(self, seeds: int | None) -> None:
        """The seeds of each arm and confirmed config."""
        if seeds is not None:
            self.raw["seeds"] = seeds
            self.places["seeds"] = "--seeds"

    def set_workers(self, workers: int | None) -> None:
        """The workers of each lane."""
        resources = self.raw.get("resources", {})
        if workers is None or not isinstance(resources, Mapping):
            return
        self.raw["resources"] = {**resources, "workers": workers}
        self.places["resources.workers"] = "--workers"

    def set_knobs(self, options: Sequence[str]) -> None:
        """`knob=value` fixes a knob: it goes into [config], and out of the search space."""
        values: dict[str, Any] = {}
        for option in options:
            name, equals, text = (part.strip() for part in option.partition("="))
            if not equals or not name or not text:
                self.problems.append(Problem(f"--set {option}".rstrip(), "must be knob=value", option))
            elif name in values:
                self.problems.append(Problem(f"--set {name}", "the knob is set twice", option))
            elif NUMBER_WITHOUT_ZERO.fullmatch(text):
                self.problems.append(Problem(f"--set {name}", f"a number needs a digit before its point: {text}", text))
            else:
                values[name] = value_of(text)
        config, search = self.raw.get("config", {}), self.raw.get("search")
        if not values or not isinstance(config, Mapping):
            return
        self.raw["config"] = {**config, **values}
        self.places |= {f"config.{name}": f"--set {name}" for name in values}
        if isinstance(search, Mapping) and isinstance(search.get("space"), Mapping):
            left = {name: entry for name, entry in search["space"].items() if name not in values}
            self.raw["search"] = {**search, "space": left}


def value_of(text: str) -> Any:
    """The value of `--set knob=value`: as TOML reads it, and a bare word as a string.

    >>> value_of("3e-4"), value_of("true"), value_of("ap"), value_of('"ap"')
    (0.0003, True, 'ap', 'ap')
    """
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if set(parsed) == {"value"} else text


def is_path(source: str) -> bool:
    """Whether a corpus source is a file path: neither the synthetic voices, nor pairs to be made, nor a URI."""
    return source.partition("?")[0] != "synthetic" and not is_pairs(source) and URI.match(source) is None


def is_pairs(source: str) -> bool:
    """Whether a source of the role trials asks for pairs to be made, and is no list."""
    return source.partition("?")[0] == PAIRS


def _with_absolute_paths(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A copy in which the paths of corpora, of scales' corpora too, and of arms' runs no longer depend on a folder."""
    result = dict(_with_absolute_corpus(raw, folder))
    if isinstance(arms := raw.get("arm"), list):
        result["arm"] = [_with_absolute_run(arm, folder) for arm in arms]
    if isinstance(scales := raw.get("scale"), Mapping):
        result["scale"] = {name: _with_absolute_corpus(scale, folder) for name, scale in scales.items()}
    return result


def _with_absolute_corpus(table: Any, folder: Path) -> Any:
    corpus = table.get("corpus") if isinstance(table, Mapping) else None
    if not isinstance(corpus, Mapping):
        return table
    return {**table, "corpus": {role: _absolute(sources, folder) for role, sources in corpus.items()}}


def _with_absolute_run(arm: Any, folder: Path) -> Any:
    source = arm.get("init_from") if isinstance(arm, Mapping) else None
    if not isinstance(source, Mapping) or "run" not in source:
        return arm
    run = source["run"]
    if isinstance(run, str) and run and URI.match(run) is None:
        run = str((folder / Path(run).expanduser()).resolve())
    return {**arm, "init_from": {**source, "run": run}}


def _absolute(written: Any, folder: Path) -> Any:
    """A source, or each of a list, with its path made absolute; what is none is left for the checks to refuse."""
    if isinstance(written, list):
        return [_absolute(source, folder) for source in written]
    if isinstance(written, Mapping) and isinstance(written.get("source"), str):
        return {**written, "source": _absolute(written["source"], folder)}
    if not isinstance(written, str) or not written or not is_path(written):
        return written
    return str((folder / Path(written).expanduser()).resolve())
