"""The words by which a claim of remote execution is known, and those that take it back."""

from __future__ import annotations

import re

#: Something was, or is, executed remotely; or has the standing of that.
CLAIM = re.compile(
    r"\b(?:"
    r"(?:is|are|was|were|been|be|being|runs?|ran|builds?|built|gets?|executes?|executed|proved|proven)\b[^.|]{0,60}?"
    r"\b(?:remote(?:ly)?[ -]execut(?:ed|ion|ing)|executed remotely|built remotely|on (?:the|a|our) executor"
    r"|executor-backed|via (?:RBE|REAPI)|on RBE|over REAPI|remotely)"
    r"|(?:RBE|REAPI|executor)[ -](?:proved|proven|backed|built|executed)"
    r"|remote[ -]execution (?:is|are|was|works|proved|proof|enabled|by default|for|of)"
    r"|remotely executed|executed remotely"
    r"|\d+ remote(?: process(?:es)?)?\b(?! cache| hit)"
    r")",
    re.IGNORECASE,
)

#: It is not, not yet, or only asked for: a sentence with one of these claims nothing.
DENIAL = re.compile(
    r"\b(?:not|never|no|none|cannot|can't|isn't|aren't|wasn't|won't|without|neither|nor|nothing|unless|until|"
    r"before|if|when|would|should|could|may|might|must|has to|have to|needs?|wants?|plan(?:s|ned)?|todo|"
    r"candidates?|blocked|refus\w+|future|goal|intend\w*|instead of|rather than|whether|how to|only after)\b",
    re.IGNORECASE,
)

#: More than one target: nothing that a manifest or evidence could carry.
BROAD = re.compile(
    r"\b(?:all|every|any|most)\b[^.|]{0,30}?\b(?:targets?|builds?|tests?|actions?|packages?|labels?|code)\b"
    r"|\beverything\b|\bby default\b|\bdefault(?:s)? to\b|\bbroad(?:ly)?\b|\bthe (?:whole|entire)\b"
    r"|//\.\.\.|//[\w./-]*/\.\.\.|:all\b",
    re.IGNORECASE,
)

#: Cache hits that are called execution.
HITS = re.compile(r"\bremote cache hits?\b", re.IGNORECASE)

#: A label of Bazel's, in a text or between backticks.
LABEL = re.compile(r"(?<![\w:/.])(?:@{1,2}[\w.~+-]*)?//[\w./+~=@-]*(?::[\w./+~=@-]+)?")

#: Counts of remote processes, and runs by their number.
COUNT = re.compile(r"\b(\d+) remote\b(?! cache)(?! hit)(?: process(?:es)?)?", re.IGNORECASE)
RUN = re.compile(r"\b(?:run|runs|workflow run|actions/runs/|proof)\D{0,12}?(\d{9,20})\b", re.IGNORECASE)
