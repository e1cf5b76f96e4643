"""What makes the run-time graph of jack hard to see, counted from the source.

    python -m tests.house_counts            # a table
    python -m tests.house_counts --places   # and every place

Callables: rooms call each other back through what a constructor was given, although imports go one
way. Names that stand twice send a reader to the wrong place. A test that reaches for a private name
holds on to how something is built.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CONSTRUCTORS = {"__init__", "__new__"}
_OWN = {"self", "cls"}
_OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make", "_field_defaults"}


@dataclass
class Count:
    """What is counted, and where each stands as `file:line: what`."""

    title: str
    places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """A module: its path below the root as text, and its tree."""

    path: str
    tree: ast.Module


def sources(root: Path, package: str) -> list[Source]:
    """Every module below `root/package`, in the order of their names."""
    return [
        Source(path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in sorted((root / package).rglob("*.py"))
    ]


def counts(jack: Sequence[Source], tests: Sequence[Source]) -> list[Count]:
    """Everything that is counted."""
    classes = [(source, node) for source in jack for node in _classes(source.tree)]
    names = {node.name for _, node in classes}
    files = [(source, source.path.rpartition("/")[2]) for source in jack]
    return [
        Count("constructor parameters that are callables", list(_parameters(classes, jack))),
        Count("lambdas handed to constructors", list(_lambdas(jack, names))),
        Count(
            "class names that stand twice",
            _twice((n.name, s.path) for s, n in classes if n in s.tree.body),
        ),
        Count(
            "file names that stand twice",
            _twice((name, s.path) for s, name in files if not name.startswith("__")),
        ),
        Count("accesses of tests to private names", list(_private_accesses(jack, tests))),
    ]


def _classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


# -- callables -------------------------------------------------------------------------------------


def _parameters(
    classes: Sequence[tuple[Source, ast.ClassDef]], jack: Sequence[Source]
) -> Iterator[str]:
    callables = _callable_names(jack)
    for source, node in classes:
        for name, annotation, line in _constructor(node):
            if annotation is not None and _names_in(annotation) & callables[source.path]:
                yield f"{source.path}:{line}: {node.name}({name})"


def _callable_names(jack: Sequence[Source]) -> dict[str, set[str]]:
    """What stands for a callable in each module: `Callable`, its aliases (`Rows = Callable[...]`,
    and aliases of these), protocols that are called, and what of these it imports.
    """
    found = {source.path: {"Callable", *_called_protocols(source.tree)} for source in jack}
    modules = {source.path.removesuffix(".py").replace("/", "."): source.path for source in jack}
    grown = True
    while grown:
        before = sum(map(len, found.values()))
        for source in jack:
            here = found[source.path]
            for node in source.tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    is_type = isinstance(node.value, (ast.Subscript, ast.Name, ast.BinOp))
                    if is_type and _names_in(node.value) & here:
                        here.add(node.targets[0].id)
                elif isinstance(node, ast.ImportFrom):
                    there = found.get(modules.get(node.module or "", ""), set())
                    here |= {each.asname or each.name for each in node.names if each.name in there}
        grown = sum(map(len, found.values())) > before
    return found


def _called_protocols(tree: ast.Module) -> Iterator[str]:
    for node in _classes(tree):
        methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
        bases = {name for base in node.bases for name in _names_in(base)}
        if "Protocol" in bases and "__call__" in methods:
            yield node.name


def _constructor(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr | None, int]]:
    """Name, annotation and line of every parameter: of `__init__`, or of a dataclass's fields."""
    decorators = {name for each in node.decorator_list for name in _names_in(each)}
    bases = {name for base in node.bases for name in _names_in(base)}
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name in _CONSTRUCTORS:
            for argument in (*each.args.posonlyargs, *each.args.args, *each.args.kwonlyargs):
                yield argument.arg, argument.annotation, argument.lineno
        elif not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        elif "dataclass" in decorators or "NamedTuple" in bases:
            yield each.target.id, each.annotation, each.lineno


def _names_in(node: ast.AST) -> set[str]:
    """Every name in an expression; those of annotations written as text too."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            found.add(each.id)
        elif isinstance(each, ast.Attribute):
            found.add(each.attr)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            found |= set(each.value.replace("[", " ").replace("|", " ").split())
    return found


def _lambdas(jack: Sequence[Source], classes: set[str]) -> Iterator[str]:
    for source in jack:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            for each in given:
                if called in classes and isinstance(each, ast.Lambda):
                    yield f"{source.path}:{each.lineno}: {called}(lambda)"


# -- names -----------------------------------------------------------------------------------------


def _twice(found: Iterator[tuple[str, str]]) -> list[str]:
    places = defaultdict(list)
    for name, path in found:
        places[name].append(path)
    return [
        f"{name}: {', '.join(paths)}" for name, paths in sorted(places.items()) if len(paths) > 1
    ]


def _private_accesses(jack: Sequence[Source], tests: Sequence[Source]) -> Iterator[str]:
    """`object._name`, `from jack.x import _name` and `setattr(object, "_name", ...)`, of names that
    jack defines. Those that a test's tools define as methods, or its own module at all, are taken
    for theirs.
    """
    private = {name for source in jack for name in _defined(source.tree) if _is_private(name)}
    private -= {name for source in tests for name in _functions(source.tree)}
    for source in tests:
        found = set()
        for node in ast.walk(source.tree):
            found |= {(node.lineno, name) for name in _reached_for(node) if name in private}
        own = set(_on_self(source.tree))
        for line, name in sorted(found):
            if name not in own:
                yield f"{source.path}:{line}: {name}"


def _reached_for(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        if not (isinstance(node.value, ast.Name) and node.value.id in _OWN):
            yield node.attr
    elif isinstance(node, ast.ImportFrom):
        if (node.module or "").partition(".")[0] == "jack":
            yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.Call) and {"setattr", "getattr"} & _names_in(node.func):
        yield from (
            each.value
            for each in node.args[:2]
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _functions(tree: ast.Module) -> Iterator[str]:
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _on_self(tree: ast.Module) -> Iterator[str]:
    """What the classes of a module keep."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in _OWN:
            yield node.attr


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in _OF_NAMED_TUPLES


def main() -> None:
    parser = argparse.ArgumentParser(description="Count what hides the run-time graph of jack.")
    parser.add_argument("--places", action="store_true", help="name every place")
    options = parser.parse_args()
    found = counts(sources(ROOT, "jack"), sources(ROOT, "tests"))
    width = max(len(count.title) for count in found)
    for count in found:
        print(f"{count.title:<{width}}  {len(count.places):>5}")
        if options.places:
            print(*(f"    {place}" for place in count.places), sep="\n")


if __name__ == "__main__":
    main()
