"""Walking expressions and statements: children, loads, free indices, substitution."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from phistar.ir.build import index_value
from phistar.ir.dtypes import Weak
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Atom,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Load,
    Pad,
    Quotient,
    Random,
    Reduce,
    Remainder,
    Scan,
    Statement,
    Subscript,
    Tensor,
)


def children(e: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside e, those in subscripts and conditions included."""
    match e:
        case Apply():
            return e.args
        case Cast():
            return (e.argument,)
        case Load():
            return tuple(s for s in e.subscripts if isinstance(s, Expr))
        case Reduce():
            return (e.body,) if e.condition is None else (e.body, e.condition)
    return ()


def rebuild(e: Expr, f: Callable[[Expr], Expr]) -> Expr:
    """e with f applied to each of its children (not to e itself)."""
    match e:
        case Apply():
            args = tuple(f(a) for a in e.args)
            same = all(a is b for a, b in zip(args, e.args, strict=True))
            return e if same else replace(e, args=args)
        case Cast():
            return replace(e, argument=f(e.argument))
        case Load() if any(isinstance(s, Expr) for s in e.subscripts):
            return Load(e.tensor, tuple(f(s) if isinstance(s, Expr) else s for s in e.subscripts))
        case Reduce():
            body = f(e.body)
            return replace(e, body=body, condition=None if e.condition is None else f(e.condition))
    return e


def with_children(e: Expr, new: Iterable[Expr]) -> Expr:
    """e over other children, given in the order of `children`."""
    following = iter(new)
    return rebuild(e, lambda _: next(following))


def rewrite(e: Expr, f: Callable[[Expr], Expr]) -> Expr:
    """e rebuilt from the leaves up, each node passed through f (without recursion)."""
    stack, done = [(e, False)], list[Expr]()
    while stack:
        node, expanded = stack.pop()
        inside = children(node)
        if not inside:
            done.append(f(node))
        elif not expanded:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(inside))
        else:
            new = done[-len(inside) :]
            del done[-len(inside) :]
            done.append(f(with_children(node, new)))
    return done[0]


def nodes(e: Expr) -> Iterator[Expr]:
    """e and every expression inside it, in the order in which it is written."""
    stack = [e]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def loads(e: Expr) -> Iterator[Load]:
    """Every load in e, those inside subscripts included."""
    return (node for node in nodes(e) if isinstance(node, Load))


def affine_indices(a: Affine) -> Iterator[Index]:
    for atom, _ in a.terms:
        if isinstance(atom, Index):
            yield atom
        else:
            yield from affine_indices(atom.affine)


def subscript_indices(s: Subscript) -> Iterator[Index]:
    match s:
        case Affine():
            yield from affine_indices(s)
        case Pad():
            yield from affine_indices(s.position)
        case Expr():
            yield from free_indices(s)


def free_indices(e: Expr) -> tuple[Index, ...]:
    """The indices of e that no reduction inside it binds, in order of appearance."""
    return tuple(dict.fromkeys(_free(e)))


def _free(e: Expr) -> Iterator[Index]:
    match e:
        case IndexValue():
            yield e.index
        case Random():
            yield from e.indices
        case Load():
            for s in e.subscripts:
                yield from subscript_indices(s)
        case Reduce():
            bound = set() if e.reduction.keeps_indices else set(e.indices)
            for child in children(e):
                yield from (i for i in _free(child) if i not in bound)
            if e.reduction.keeps_indices:
                yield from e.indices  # free even where the body does not mention them
        case _:
            for child in children(e):
                yield from _free(child)


def mentioned_indices(e: Expr) -> tuple[Index, ...]:
    """Every index in e, bound ones included, in order of appearance."""
    found: dict[Index, None] = {}
    for node in nodes(e):
        match node:
            case IndexValue():
                found[node.index] = None
            case Reduce() | Random():
                found.update(dict.fromkeys(node.indices))
            case Load():
                for s in node.subscripts:
                    if not isinstance(s, Expr):
                        found.update(dict.fromkeys(subscript_indices(s)))
    return tuple(found)


def target_indices(a: Assign) -> tuple[Index, ...]:
    """The indices on the left of an assignment, in order of appearance."""
    return free_indices(a.target)


def all_indices(a: Assign) -> tuple[Index, ...]:
    """Every index of an assignment's loop nest: the target's, then those that are reduced."""
    return (*target_indices(a), *a.over)


def expressions(a: Assign) -> Iterator[Expr]:
    """The expressions an assignment evaluates: value, condition, gathers on the left."""
    yield a.value
    if a.condition is not None:
        yield a.condition
    yield from (s for s in a.target.subscripts if isinstance(s, Expr))


def reads(a: Assign) -> Iterator[Load]:
    """Every load an assignment makes (not its target)."""
    for e in expressions(a):
        yield from loads(e)


def read_tensors(statements: Iterable[Statement]) -> Iterator[Tensor]:
    """Every tensor the statements read, each once, in order."""
    seen: set[Tensor] = set()
    for a in flat(statements):
        for load in reads(a):
            if load.tensor not in seen:
                seen.add(load.tensor)
                yield load.tensor


def flat(statements: Iterable[Statement]) -> Iterator[Assign]:
    """Every assignment, in order, those inside scans included."""
    for statement in statements:
        if isinstance(statement, Scan):
            yield from flat(statement.body)
        else:
            yield statement


def map_assign(a: Assign, f: Callable[[Expr], Expr]) -> Assign:
    """a with f applied to its value, its condition and its target (f must keep a Load a Load)."""
    target = f(a.target)
    assert isinstance(target, Load)
    condition = None if a.condition is None else f(a.condition)
    return replace(a, target=target, value=f(a.value), condition=condition)


def map_statements(
    statements: Iterable[Statement], f: Callable[[Assign], Iterable[Assign]]
) -> tuple[Statement, ...]:
    """The statements with each assignment replaced by f's, inside scans too."""
    out: list[Statement] = []
    for statement in statements:
        if isinstance(statement, Scan):
            out.append(replace(statement, body=map_statements(statement.body, f)))
        else:
            out.extend(f(statement))
    return tuple(out)


def replace_tensors(e: Expr, names: Mapping[Tensor, Tensor]) -> Expr:
    """e with loads of some tensors turned into loads of others."""

    def swap(node: Expr) -> Expr:
        if isinstance(node, Load) and node.tensor in names:
            return Load(names[node.tensor], node.subscripts)
        return node

    return rewrite(e, swap)


# Substitution of indices --------------------------------------------------------------------------

Substitution = Mapping[Index, Subscript]


def substitute(e: Expr, at: Substitution) -> Expr:
    """e with indices replaced by affine subscripts or by integer expressions.

    Indices bound inside e must not occur in what is put in: rename them first (`fresh`).
    """
    if not at:
        return e
    match e:
        case IndexValue():
            if e.index not in at:
                return e
            return _retyped(subscript_value(at[e.index]), e)
        case Load():
            return Load(e.tensor, tuple(substitute_subscript(s, at) for s in e.subscripts))
        case Random():
            return replace(e, indices=tuple(_must_be_index(at.get(i, i)) for i in e.indices))
        case Reduce():
            indices = tuple(_must_be_index(at.get(i, i)) for i in e.indices)
            inside = rebuild(e, lambda child: substitute(child, at))
            assert isinstance(inside, Reduce)
            return replace(inside, indices=indices)
    return rebuild(e, lambda child: substitute(child, at))


def _retyped(value: Expr, like: IndexValue) -> Expr:
    """An index's replacement in the type that the index value had."""
    from phistar.ir.build import cast, convert

    if isinstance(like.dtype, Weak) or value.dtype is like.dtype:
        return value
    if isinstance(value.dtype, Weak):
        return convert(value, like.dtype)
    return cast(value, like.dtype)


def _must_be_index(s: Subscript | Index) -> Index:
    index = s if isinstance(s, Index) else s.bare if isinstance(s, Affine) else None
    if index is None:
        raise TypeError(f"an index that is bound can only be renamed, not become {s!r}")
    return index


def substitute_subscript(s: Subscript, at: Substitution) -> Subscript:
    match s:
        case Affine():
            if (index := s.bare) is not None:
                return at.get(index, s)
            if all(isinstance(at.get(i, s), Affine) for i in affine_indices(s)):
                return substitute_affine(s, at)
            return substitute(settled_subscript(s), at)
        case Pad():
            return replace(s, position=substitute_affine(s.position, at))
    return substitute(s, at)


def settled_subscript(s: Affine) -> Expr:
    from phistar.ir.build import settled

    return settled(subscript_value(s))


def substitute_affine(a: Affine, at: Substitution) -> Affine:
    """a with indices replaced by affine subscripts."""
    total = Affine((), a.offset)
    for atom, coefficient in a.terms:
        total = add(total, scale(_substitute_atom(atom, at), coefficient))
    return replace(total, group=a.group)


def _substitute_atom(atom: Atom, at: Substitution) -> Affine:
    match atom:
        case Index():
            put = at.get(atom, Affine(((atom, 1),)))
            if not isinstance(put, Affine):
                raise TypeError(f"{atom.name} inside an affine subscript cannot become {put!r}")
            return put
        case Quotient():
            return quotient(substitute_affine(atom.affine, at), atom.divisor)
        case Remainder():
            return remainder(substitute_affine(atom.affine, at), atom.divisor)


def quotient(a: Affine, divisor: int) -> Affine:
    """a // divisor, computed if a is a number."""
    if not a.terms:
        return Affine((), a.offset // divisor)
    return Affine(((Quotient(a, divisor), 1),))


def remainder(a: Affine, divisor: int) -> Affine:
    """a % divisor, computed if a is a number."""
    if not a.terms:
        return Affine((), a.offset % divisor)
    return Affine(((Remainder(a, divisor), 1),))


def add(a: Affine, b: Affine) -> Affine:
    """a + b with like atoms collected."""
    terms = dict(a.terms)
    for atom, coefficient in b.terms:
        terms[atom] = terms.get(atom, 0) + coefficient
    return Affine(tuple((t, c) for t, c in terms.items() if c), a.offset + b.offset)


def scale(a: Affine, factor: int) -> Affine:
    """factor * a."""
    if factor == 0:
        return Affine()
    return replace(a, terms=tuple((t, c * factor) for t, c in a.terms), offset=a.offset * factor)


def affine_bounds(a: Affine) -> tuple[int, int]:
    """The smallest and the largest value of a while its indices run (interval arithmetic)."""
    low = high = a.offset
    for atom, coefficient in a.terms:
        first, last = _atom_bounds(atom)
        ends = (coefficient * first, coefficient * last)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _atom_bounds(atom: Atom) -> tuple[int, int]:
    match atom:
        case Index():
            return 0, max(atom.size - 1, 0)
        case Quotient():
            low, high = affine_bounds(atom.affine)
            return low // atom.divisor, high // atom.divisor
        case Remainder():
            low, high = affine_bounds(atom.affine)
            if low // atom.divisor == high // atom.divisor:
                return low % atom.divisor, high % atom.divisor
            return 0, atom.divisor - 1


def subscript_value(s: Subscript) -> Expr:
    """A subscript as an integer expression (weak where it is affine)."""
    from phistar.ir.build import apply
    from phistar.ir.primitives import Primitive

    if isinstance(s, Pad):
        raise TypeError("a padded position is not a value")
    if isinstance(s, Expr):
        return s
    total: Expr | None = None
    for atom, coefficient in s.terms:
        match atom:
            case Index():
                term: Expr = index_value(atom)
            case Quotient():
                term = apply(Primitive.FLOOR_DIV, subscript_value(atom.affine), atom.divisor)
            case Remainder():
                term = apply(Primitive.MOD, subscript_value(atom.affine), atom.divisor)
        if coefficient != 1:
            term = coefficient * term
        total = term if total is None else total + term
    if total is None:
        return Const(s.offset, Weak.INT)
    return total if s.offset == 0 else total + s.offset


# Fresh names --------------------------------------------------------------------------------------


def fresh(index: Index, taken: Iterable[Index]) -> Index:
    """index, primed until its name is none of the taken ones."""
    names = {i.name for i in taken}
    name = index.name
    while name in names:
        name += "'"
    return Index(name, index.size)


def rename_bound(e: Expr, taken: Iterable[Index]) -> Expr:
    """e with each index that a reduction inside it binds renamed away from `taken`."""
    taken = tuple(taken)
    if not isinstance(e, Reduce):
        return rebuild(e, lambda child: rename_bound(child, taken))
    if e.reduction.keeps_indices:
        return rebuild(e, lambda child: rename_bound(child, (*taken, *e.indices)))
    new = tuple(fresh(i, taken) for i in e.indices)
    at = {i: Affine(((n, 1),)) for i, n in zip(e.indices, new, strict=True) if i != n}
    renamed = substitute(e, at) if at else e
    return rebuild(renamed, lambda child: rename_bound(child, (*taken, *new)))
