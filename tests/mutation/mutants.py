"""Small wrong changes to Python source, one at a time: what a test that checks anything notices.

    for mutant in mutants_of(source): mutant.source, mutant.line, mutant.what

Changed are comparisons, `and`/`or`/`not`, arithmetic, constants, conditions, `raise` and `return`,
and calls as statements. Left alone are docstrings, annotations, texts for people (anything with a
blank in it, and f-strings) and constants named MAX_…_BYTES, where one byte more decides nothing.
Each mutant is whole source text, made by `ast.unparse` when it is asked for.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OF_RECORDS = ("frozen", "kw_only")
"""How a class is written down; what it holds is the same."""
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change."""

    line: int
    what: str
    tree: ast.Module
    """The module as it is."""
    node: ast.AST
    changed: ast.AST

    @property
    def changed_tree(self) -> ast.Module:
        """The module with the change, each line where it was."""
        return _with(self.tree, self.node, self.changed)

    @property
    def source(self) -> str:
        """The module's source with the change, which takes tens of milliseconds to make."""
        return ast.unparse(self.changed_tree)

    @property
    def function(self) -> Function | None:
        """The outermost function in whose body the change is; None: the import runs it."""
        return _function_around(self.tree, self.node)


def _function_around(tree: ast.AST, node: ast.AST) -> Function | None:
    for one in ast.iter_child_nodes(tree):
        if any(part is node for part in ast.walk(one)):
            if isinstance(one, Function) and any(
                part is node for line in one.body for part in ast.walk(line)
            ):
                return one
            return _function_around(one, node)
    return None


def mutants_of(source: str) -> Iterator[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    tree = ast.parse(source)
    places = [node for node in ast.walk(tree) if _may_change(node)]
    skipped = _left_alone(tree)
    for node in sorted(places, key=lambda node: (node.lineno, node.col_offset)):  # type: ignore[attr-defined]
        if id(node) in skipped:
            continue
        for what, changed in _changes(node):
            yield Mutant(
                line=node.lineno,  # type: ignore[attr-defined]
                what=what,
                tree=tree,
                node=node,
                changed=changed,
            )


def _may_change(node: ast.AST) -> bool:
    expressions = ast.Compare | ast.BoolOp | ast.UnaryOp | ast.BinOp | ast.Constant | ast.IfExp
    return isinstance(node, expressions | ast.If | ast.Raise | ast.Return | ast.Expr | ast.Call)


def _left_alone(tree: ast.Module) -> set[int]:
    """Return the nodes in annotations, docstrings, texts for people and match patterns."""
    alone: set[int] = set()

    def leave(node: ast.AST | None) -> None:
        if node is not None:
            alone.update(id(one) for one in ast.walk(node))

    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            leave(node.annotation)
        if isinstance(node, ast.FunctionDef):
            leave(node.returns)
            for decorator in node.decorator_list:
                leave(decorator)
        if isinstance(node, ast.Assign) and (_is_literal_type(node.value) or _is_bound(node)):
            leave(node.value)
        if isinstance(node, ast.JoinedStr | ast.pattern):
            leave(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            leave(node)
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                leave(decorator)
            for keyword in node.keywords:
                if keyword.arg in _OF_RECORDS:
                    leave(keyword)
    return alone


def _is_bound(node: ast.Assign) -> bool:
    """Return whether this only bounds what a parser reads at all."""
    names = [target.id for target in node.targets if isinstance(target, ast.Name)]
    return any(name.startswith("MAX_") and name.endswith("_BYTES") for name in names)


def _is_literal_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare():
            yield from _compared(node)
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and/or", ast.BoolOp(op=other, values=values)
            for at in range(len(values)):
                rest = values[:at] + values[at + 1 :]
                left = rest[0] if len(rest) == 1 else ast.BoolOp(op=op, values=rest)
                yield f"without operand {at + 1}", left
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "without not", operand
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "without minus", operand
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield "operator", ast.BinOp(node.left, _ARITHMETIC[type(op)](), node.right)
        case ast.Constant(value=value):
            yield from ((f"{value!r} is {other!r}", ast.Constant(other)) for other in _other(value))
        case ast.If(body=body, orelse=orelse):
            yield "if always", ast.If(test=ast.Constant(True), body=body, orelse=orelse)
            yield "if never", ast.If(test=ast.Constant(False), body=body, orelse=orelse)
        case ast.IfExp(test=_, body=body, orelse=orelse):
            yield "first", body
            yield "second", orelse
        case ast.Raise():
            yield "no raise", ast.Pass()
        case ast.Return(value=ast.expr() as value) if not _is_none_or_false(value):
            yield "returns None", ast.Return(value=ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield "not called", ast.Pass()
        case ast.Call(func=ast.Name(id="any")):
            yield "all for any", ast.Call(ast.Name("all", ast.Load()), node.args, node.keywords)
        case ast.Call(func=ast.Name(id="all")):
            yield "any for all", ast.Call(ast.Name("any", ast.Load()), node.args, node.keywords)
        case _:
            return


def _is_none_or_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _compared(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for at, op in enumerate(node.ops):
        for other in _COMPARE[type(op)]:
            ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
            what = f"{type(op).__name__} is {other.__name__}"
            yield what, ast.Compare(left=node.left, ops=ops, comparators=node.comparators)


def _other(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, str) and value and " " not in value:
        return [value + "x"]
    return []


def _with(tree: ast.Module, node: ast.AST, changed: ast.AST) -> ast.Module:
    """Return the module with one node changed."""
    place = next(at for at, one in enumerate(ast.walk(tree)) if one is node)
    other = copy.deepcopy(tree)
    target = next(one for at, one in enumerate(ast.walk(other)) if at == place)

    here = ast.copy_location(copy.deepcopy(changed), target)

    class Replace(ast.NodeTransformer):
        def visit(self, one: ast.AST) -> ast.AST:
            return here if one is target else self.generic_visit(one)

    whole: ast.Module = ast.fix_missing_locations(Replace().visit(other))
    return whole
