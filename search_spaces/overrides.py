"""What the command line says over a study file: --corpus, --trials, --workers, --set."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search_spaces.problems import Problem

NUMBER_WITHOUT_ZERO = re.compile(r"[+-]?\.\d+(e[+-]?\d+)?", re.IGNORECASE)
ROLE_SOURCE = re.compile(r"(?P<role>[A-Za-z_]+)\s*=\s*(?P<source>.*)", re.DOTALL)
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class Overridden:
    """A study file's content with the command line's words over it, and where each word came from.

    Args:
        raw: what the file says; a changed copy of it is in `self.raw`.
        folder: what relative paths of the file are relative to.

    """

    def __init__(self, raw: Mapping[str, Any], folder: Path) -> None:
        self.raw: dict[str, Any] = dict(raw)
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}  # place in the file -> option that put the value there
        corpus = raw.get("corpus")
        if isinstance(corpus, Mapping):
            self.raw["corpus"] = {role: _absolute(sources, folder) for role, sources in corpus.items()}

    def place(self, problem: Problem, label: str) -> Problem:
        """A problem's place as the user knows it: the option, or the file and the path inside it."""
        for inner, option in self.places.items():
            if problem.place == inner or problem.place.startswith((inner + ".", inner + "[")):
                rest = problem.place[len(inner) :]
                return Problem(option + rest, problem.rule, problem.value, problem.choices, problem.nearest)
        return problem.at(f"{label}: ")

    def set_corpus(self, options: Sequence[str], working_directory: Path) -> None:
        """`SOURCE` replaces the whole corpus by train = SOURCE; `ROLE=SOURCE` replaces one role, repeated it adds."""
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
        kept = dict(before) if isinstance(before, Mapping) and not bare else {}
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
    """Whether a corpus source is a file path: neither the synthetic voices nor a URI."""
    return source.partition("?")[0] != "synthetic" and URI.match(source) is None


def _absolute(sources: Any, folder: Path) -> Any:
    """A source, or each of a list, with its path made absolute; what is no string is left for the checks to refuse."""
    if isinstance(sources, list):
        return [_absolute(source, folder) for source in sources]
    if not isinstance(sources, str) or not sources or not is_path(sources):
        return sources
    return str((folder / Path(sources).expanduser()).resolve())
