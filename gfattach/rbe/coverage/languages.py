"""Which language an action's mnemonic belongs to."""

from __future__ import annotations

import re

#: The languages of the table in its order, each with the mnemonics of its rules (rules_cc, rules_go, ...).
LANGUAGES: tuple[tuple[str, str], ...] = (
    ("C and C++", r"Cpp(?:Compile|Link|Archive|Module.*)|CcStrip|Objc(?:Compile|Link)"),
    ("Go", r"Go(?:Compile|Link|Stdlib|Tool|Test|Info|Asm|Context).*|Godep"),
    ("Java", r"Javac|Java(?:SourceJar|Resource.*|DeployJar|IJar)|Turbine|JavaSingleJar"),
    ("Kotlin", r"Kotlin.*|Kt(?:Compile|Lint).*"),
    ("Rust", r"Rustc.*|Rust(?:fmt|doc|Analyzer)|Clippy|CargoBuildScriptRun"),
    ("Python", r"Py(?:thon)?(?:Compile|c|ZipApp|Wheel|Test).*|MypyCheck|Mypy"),
    (
        "TypeScript and JavaScript",
        r"Ts(?:Project|Compile|Validate).*|NodeJs.*|Npm.*|Js.*|SvelteKit.*|ViteBuild.*",
    ),
    ("Zig", r"Zig.*"),
    ("Chapel", r"Chapel.*|Chpl.*"),
    ("Shell", r"Genrule|Sh(?:ell)?(?:Test|Binary|Action)|Action"),
)

_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in LANGUAGES)

#: What a mnemonic is counted under that belongs to no language here.
OTHER = "other"


def language_of(mnemonic: str) -> str:
    """The language of a mnemonic; `OTHER` for tests, copies and rules that are not known."""
    return next((name for name, pattern in _PATTERNS if pattern.fullmatch(mnemonic)), OTHER)
