"""Text as LaTeX takes it: plain ASCII that pdflatex sets as it is meant, with no package but its own."""

from __future__ import annotations

import re
import unicodedata

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # The text fonts have other signs in these places.
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "`": r"\`{}",
    # After a line break these would be its arguments.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Two of them would become another sign.
    "-": "{-}",
    "'": "{'}",
}
SIGNS = {
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "∞": r"$\infty$",
    "→": r"$\rightarrow$",
    "°": r"$^{\circ}$",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "…": r"\dots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "§": r"\S{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{REPLACEMENT CHARACTER}": "?",
}
# Letters of the Greek alphabet that look like Latin ones have no command.
GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γΓ", "delta": "δΔ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θΘ",
    "iota": "ι", "kappa": "κ", "lambda": "λΛ", "mu": "μ", "nu": "ν", "xi": "ξΞ", "pi": "πΠ", "rho": "ρ", "sigma": "σΣ",
    "tau": "τ", "upsilon": "υ", "phi": "φΦ", "chi": "χ", "psi": "ψΨ", "omega": "ωΩ",
}  # fmt: skip
LETTERS = {
    letter: f"$\\{name if letter.islower() else name.capitalize()}$"
    for name, letters in GREEK.items()
    for letter in letters
}
ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0331": "b",
}  # fmt: skip


def latex_text(text: str) -> str:
    r"""The text on one line, every special character escaped; a character that LaTeX cannot set is its number, U+4E2D.

    >>> print(latex_text("a_b & 50 % α"))
    a\_b \& 50 \% $\alpha$
    """
    return "".join(_character(character) for character in " ".join(re.split("[ \t\r\n]+", text)))


def latex_label(text: str) -> str:
    r"""A name for `\label`: the text's ASCII letters and digits, with hyphens between the words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain)[:40].strip("-") or "table"


def _character(character: str) -> str:
    for known in (SPECIAL, SIGNS, LETTERS):
        if character in known:
            return known[character]
    if " " <= character <= "~":
        return character
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if marks and letter.isascii() and letter.isalpha() and all(mark in ACCENTS for mark in marks):
        set_letter = rf"\{letter}{{}}" if letter in "ij" and marks[0] not in "\u0323\u0327\u0331" else letter
        for mark in marks:
            set_letter = rf"\{ACCENTS[mark]}{{{set_letter}}}"
        return set_letter
    return f"U+{ord(character):04X}"
