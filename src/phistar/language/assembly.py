"""From what was asked for to a program: collect the statements it needs, give every tensor a name.

Statements are found by following definitions back from the outputs (iteratively: chains may be
long), put in the order in which they were written, and lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from phistar.errors import DefinitionError
from phistar.ir import program as ir
from phistar.ir.program import Kind
from phistar.language.equations import Equation, Unit
from phistar.language.expression import Expr, RandomField
from phistar.language.lowering import halo_of
from phistar.language.tensors import Definition


@dataclass(eq=False)
class Assembled:
    """A source program and where its tensors come from."""

    program: ir.Program
    records: dict[Definition, ir.Tensor]
    definitions: dict[str, Definition] = field(default_factory=dict)

    @property
    def inputs(self) -> dict[str, Definition]:
        """The definitions of the tensors whose values the caller must give, by name."""
        return {t.name: self.definitions[t.name] for t in self.program.inputs}


def assemble(
    outputs: Sequence[Definition],
    updates: Iterable[Unit] = (),
    names: Mapping[Definition, str] | None = None,
    given: Iterable[Definition] = (),
    name: str = "program",
) -> Assembled:
    """The program that computes the outputs and makes the updates.

    given: definitions that count as inputs though equations define them (the arguments of a
    function that is traced inside another).
    """
    units, reached = collect(outputs, updates, set(given))
    namer = Namer(names or {}, index_names(units), field_names(units))
    records: dict[Definition, ir.Tensor] = {}
    inputs = [d for d in reached if d.owner.kind is not Kind.VALUE or d in set(given)]
    for definition in (*inputs, *(d for d in reached if d not in set(inputs))):
        kind = Kind.INPUT if definition in set(given) else definition.owner.kind
        records[definition] = record(definition, namer.name(definition), kind)
    statements = tuple(s for unit in units for s in unit.lower(records.__getitem__))
    program = ir.Program(
        statements,
        tuple(records[d] for d in inputs),
        tuple(dict.fromkeys(records[d] for d in outputs)),
        name,
    )
    return Assembled(program, records, {t.name: d for d, t in records.items()})


def record(definition: Definition, name: str, kind: Kind) -> ir.Tensor:
    shape = definition.shape
    if shape is None:
        raise DefinitionError(
            f"{definition.owner.shown_name} is used, but never defined: "
            f"write {definition.owner.shown_name}[...] = ..., "
            f"not {definition.owner.shown_name} = ..."
        )
    return ir.Tensor(name, shape, definition.strong_dtype, kind, halo_of(definition))


def collect(
    outputs: Iterable[Definition], updates: Iterable[Unit], given: set[Definition]
) -> tuple[list[Unit], list[Definition]]:
    """The units that outputs and updates need, in order, and every definition they touch."""
    units: dict[Unit, None] = {}
    reached: dict[Definition, None] = {}
    stack: list[Definition] = list(reversed(list(outputs)))

    def take(unit: Unit) -> None:
        if unit not in units:
            units[unit] = None
            stack.extend(unit.reads())
            stack.extend(unit.writes())

    for unit in updates:
        take(unit)
    while stack:
        definition = stack.pop()
        if definition in reached:
            continue
        reached[definition] = None
        if definition not in given:
            for unit in definition.units:
                take(unit)
    ordered = sorted(units, key=lambda u: u.number)
    position = {d: n for n, d in enumerate(first_touched(ordered))}
    return ordered, sorted(reached, key=lambda d: position.get(d, len(position)))


def first_touched(units: Iterable[Unit]) -> Iterable[Definition]:
    seen: dict[Definition, None] = {}
    for unit in units:
        seen.update(dict.fromkeys(unit.reads()))
        seen.update(dict.fromkeys(unit.writes()))
    return seen


def index_names(units: Iterable[Unit]) -> set[str]:
    """The names of all indices: a tensor without axes must not be called like one."""
    from phistar.language.solving import indices_of

    return {i.name for equation in equations_of(units) for i in indices_of(equation)}


def field_names(units: Iterable[Unit]) -> set[str]:
    """The names of the random fields, `uniform` and `normal`: a tensor must not be called so."""
    stack: list[Expr] = [equation.value for equation in equations_of(units)]
    names: set[str] = set()
    while stack:
        e = stack.pop()
        stack.extend(e.children)
        if isinstance(e, RandomField):
            names.add(e.distribution.value)
    return names


def equations_of(units: Iterable[Unit]) -> Iterable[Equation]:
    from phistar.language.scans import ScanBlock

    for unit in units:
        inside = unit.equations() if isinstance(unit, ScanBlock) else (unit,)
        yield from (equation for equation in inside if isinstance(equation, Equation))


class Namer:
    """Gives each definition a name that no other tensor of the program has."""

    def __init__(
        self, wishes: Mapping[Definition, str], indices: set[str], fields: set[str]
    ) -> None:
        self.wishes = wishes
        self.indices = indices
        self.fields = fields
        self.taken: set[str] = set()
        self.unnamed = 0

    def name(self, definition: Definition) -> str:
        wish = self.wishes.get(definition) or definition.owner.name
        if not wish:
            self.unnamed += 1
            wish = f"t{self.unnamed}"
        name, n = wish, 1
        made = definition.owner.kind is Kind.VALUE  # what comes in is known by its name
        while (
            name in self.taken
            or (definition.rank == 0 and name in self.indices)
            or (made and name in self.fields)
        ):
            n += 1
            name = f"{wish}_{n}"
        self.taken.add(name)
        return name
