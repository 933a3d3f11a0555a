"""Dagger's GraphQL schema, rebuilt from the installed SDK: no wheel brings it.

Every method of the generated client holds the name of its field, of its arguments, and
their types as annotations; this reads them back.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import dagger
from graphql import GraphQLSchema, build_schema

GENERATED = Path(dagger.__file__).parent / "client" / "gen.py"
SCALARS = {"str": "String", "int": "Int", "bool": "Boolean", "float": "Float"}
HEAD = "schema { query: Query }\n"


@cache
def dagger_schema() -> GraphQLSchema:
    """Return the schema that the installed SDK was generated from."""
    return build_schema(HEAD + "\n".join(Definitions().lines()))


class Definitions:
    """Turns the classes of the generated client into GraphQL definitions."""

    def __init__(self) -> None:
        tree = ast.parse(GENERATED.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        self.kinds = {
            node.name: ast.unparse(node.bases[0]).split(".")[-1]
            for node in classes
            if node.bases
        }
        self.classes = {node.name: node for node in classes}

    def lines(self) -> Iterator[str]:
        """Yield one definition for each class."""
        for name, node in self.classes.items():
            kind = self.kinds.get(name)
            if kind == "Scalar" and not name.endswith("ID"):
                yield f"scalar {name}"
            elif kind == "Enum":
                yield f"enum {name} {{ {' '.join(members(node))} }}"
            elif kind == "Input":
                yield f"input {name} {{ {' '.join(self.inputs(node))} }}"
            elif name.startswith("_"):
                own = name.removeprefix("_").removesuffix("Client")
                yield f"interface {own} {{ {' '.join(self.fields(node, own))} }}"
            elif kind == "Type":
                fields = " ".join(self.fields(node, name))
                yield f"type {name} implements Node {{ {fields} }}"
            elif kind == "Root":
                yield f"type {name} {{ {' '.join(self.fields(node, name))} }}"

    def inputs(self, node: ast.ClassDef) -> Iterator[str]:
        """Yield the fields of an input object."""
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                yield f"{item.target.id}: {self.type_of(item.annotation, '')}"

    def fields(self, node: ast.ClassDef, owner: str) -> Iterator[str]:
        """Yield the fields of an object."""
        for method in node.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not (field := selected(method)):
                continue
            if field == "id" or "execute_sync" in ast.unparse(method):
                returned = "ID!"
            else:
                returned = self.type_of(method.returns, owner)
            arguments = ", ".join(self.arguments(method))
            yield f"{field}{f'({arguments})' if arguments else ''}: {returned}"

    def arguments(
        self, method: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> Iterator[str]:
        """Yield the arguments of a field; one with a default is optional."""
        given = [*method.args.args, *method.args.kwonlyargs]
        annotations = {arg.arg: arg.annotation for arg in given}
        for call in calls(method, "Arg"):
            name = ast.literal_eval(call.args[0])
            variable = next(
                n.id for n in ast.walk(call.args[1]) if isinstance(n, ast.Name)
            )
            kind = self.type_of(annotations[variable], "", argument=True)
            optional = len(call.args) > 2
            yield f"{name}: {kind.removesuffix('!') if optional else kind}"

    def type_of(
        self, annotation: ast.expr | None, owner: str, *, argument: bool = False
    ) -> str:
        """Return an annotation as a GraphQL type; objects are passed by ID."""
        text = ast.unparse(annotation).replace("'", "") if annotation else "None"
        text, optional = text.removesuffix(" | None"), text.endswith(" | None")
        if text.startswith("list["):
            item = ast.parse(text[5:-1], mode="eval").body
            kind = f"[{self.type_of(item, owner, argument=argument)}]"
        elif text == "None":
            return "Void"
        elif text in ("Self", "Type") or self.kinds.get(text) in ("Type", "Protocol"):
            named = {"Self": owner, "Type": "Node"}.get(text, text)
            kind = "ID" if argument else named
        elif self.kinds.get(text) == "Scalar" and text.endswith("ID"):
            kind = "ID"  # one scalar, under a name for each object
        else:
            kind = SCALARS.get(text, text)
        return kind if optional else f"{kind}!"


def members(node: ast.ClassDef) -> Iterator[str]:
    """Yield the values of an enumeration; some have two names."""
    values = [item.value for item in node.body if isinstance(item, ast.Assign)]
    yield from dict.fromkeys(str(ast.literal_eval(value)) for value in values)


def selected(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """Return the field that a method selects."""
    for name, position in (("_select", 0), ("execute_sync", 1)):
        for call in calls(method, name):
            return str(ast.literal_eval(call.args[position]))
    return None


def calls(node: ast.AST, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function or method of this name."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            called = call.func
            if getattr(called, "attr", getattr(called, "id", None)) == name:
                yield call
