"""The docstrings below fields. Python discards them at run time, so they cost a function nothing."""

import ast
import inspect
from functools import cache
from textwrap import dedent

from pydantic import BaseModel


def flowed(text: str) -> str:
    """A docstring without the line breaks inside its paragraphs."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def field_docs(kind: type) -> dict[str, str]:
    """The docstring of each field of a model or TypedDict, including inherited fields."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base not in {object, dict, BaseModel}:
            docs |= _own_docs(base)
    return docs


@cache
def _own_docs(kind: type) -> dict[str, str]:
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{kind} is not a class")
    docs = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = flowed(text)
    return docs
