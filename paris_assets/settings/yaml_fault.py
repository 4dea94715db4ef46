"""What is wrong with a YAML text, in one line."""

from __future__ import annotations

import yaml


def yaml_fault(error: Exception) -> str:
    """Line, column and problem as the parser names them; other errors as they are."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    return " ".join(str(error).split())
