"""The table of docs/preflight.md, made of the rules: `python -m tests.preflight.page` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from mlengine.preflight.findings import RULES, Weight

PAGE = Path(__file__).parents[2] / "docs" / "preflight.md"
_BEGIN, _END = "<!-- rules -->\n", "<!-- end of rules -->"
_WORDS = {
    Weight.CERTAIN: "refused",
    Weight.DOUBTFUL: "stops the command",
    Weight.WARNING: "warned of",
}


def table() -> str:
    """All rules, one a line."""
    rows = [
        f"| `{code}` | {rule.about} | {_WORDS[rule.weight]} | {rule.cure} |" for code, rule in RULES.items()
    ]
    return "\n".join(["| code | what is found | it is | cure |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: f"{_BEGIN}{table()}{_END}", text, flags=re.DOTALL))
