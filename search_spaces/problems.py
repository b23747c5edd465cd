"""What a user got wrong, said so that it can be put right: place, rule, value, choices, nearest name."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Problem:
    """One mistake.

    `place` is where it stands ("study.toml: search.space.beta_alpah", "--set width"), `rule` the sentence that says
    what must hold and, where it helps, what was found; `value` is the offending value itself.
    """

    place: str
    rule: str
    value: object = None
    choices: tuple[object, ...] = ()
    nearest: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.rule}"
        if self.nearest is not None:
            text += f"; did you mean {self.nearest!r}?"
        if self.choices:
            text += f" (choices: {', '.join(str(choice) for choice in self.choices)})"
        return text

    def at(self, prefix: str) -> "Problem":
        """The same problem with its place put below `prefix`, which ends in its own separator."""
        return replace(self, place=prefix + self.place)


class StudyError(ValueError):
    """A study that cannot be run as it is written; `problems` holds every mistake found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type["StudyError"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The known name that `name` was most likely meant to be, None if nothing is close.

    >>> nearest_name("beta_alpah", ["loss", "beta_alpha"])
    'beta_alpha'
    """
    known = {candidate.lower(): candidate for candidate in names}
    typed = name.lower().replace("-", "_")
    close = difflib.get_close_matches(typed, known, n=1, cutoff=0.6)
    if not close and len(typed) >= 3:
        begun = [candidate for candidate in known if candidate.startswith(typed)]
        close = begun if len(begun) == 1 else []
    return known[close[0]] if close else None


def unknown_name(place: str, rule: str, name: str, names: Sequence[str]) -> Problem:
    """The problem of a name that is not among `names`."""
    return Problem(place, rule, name, tuple(names), nearest_name(name, names))
