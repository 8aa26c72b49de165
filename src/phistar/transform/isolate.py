"""One assignment as a program of its own, with its backward program.

    h[b, t, j] = tanh(h[b, t - 1, j] * w[j])      in a scan over t: every load becomes an input that
                                                  can be moved alone, the target the output, and
                                                  t an ordinary index

Each distinct load of a float tensor gets a tensor of its own, also where one tensor is loaded twice
or is the target; what stands in a stop_gradient is apart from what stands outside.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Apply, Assign, Expr, Index, Kind, Load, Program, Subscript, Tensor
from phistar.ir.walk import loads, map_assign, mentioned_indices, rebuild, target_indices
from phistar.transform.names import Names
from phistar.transform.swap import Backward, swap


@dataclass(frozen=True)
class Isolated:
    """forward: one statement; backward: its backward statements, from the adjoint of its target on.

    origins: the tensor of the whole program that each input stands for. varied: the inputs that
    may be moved. scans: the indices of the scans around it, which are ordinary ones here.
    """

    forward: Program
    backward: Backward
    origins: Mapping[Tensor, Tensor]
    varied: tuple[Tensor, ...]
    scans: tuple[Index, ...]

    @property
    def statement(self) -> Assign:
        (a,) = self.forward.statements
        assert isinstance(a, Assign)
        return a

    def shown(self, a: Assign) -> Assign:
        """A statement of this program with the names of the whole program."""
        names = dict(self.origins)
        for tensor, grad in self.backward.adjoints.items():
            if tensor in self.origins:
                names[grad] = replace(grad, name=f"{self.origins[tensor].name}.grad")
        over = tuple(i for i in a.over if i not in self.scans)
        return renamed(replace(a, over=over), names)


def isolate(a: Assign, scans: tuple[Index, ...] = ()) -> Isolated | None:
    """An assignment of a lifted program by itself; None if it has no derivative to speak of."""
    target = a.target.tensor
    if target.kind is not Kind.VALUE or not target.dtype.is_float:
        return None
    around = tuple(i for i in scans if i not in target_indices(a))
    added = tuple(i for i in around if i in mentioned(a))
    if a.op is Op.SET and added:
        return None
    apart = Apart(Names([target.name, *(load.tensor.name for load in read(a))]), target.name)
    alone = apart.assign(replace(a, over=(*a.over, *added)))
    inputs = tuple(dict.fromkeys(load.tensor for load in read(alone)))
    program = Program((alone,), inputs, (target,))
    varied = tuple(t for t in apart.varied.values())
    origins = {made: tensor for tensor, made in apart.pairs()}
    return Isolated(program, swap(program, target, varied), origins, varied, scans)


def mentioned(a: Assign) -> set[Index]:
    """Every index in an assignment."""
    parts = [a.value, a.target] if a.condition is None else [a.value, a.target, a.condition]
    return {i for part in parts for i in mentioned_indices(part)}


def read(a: Assign) -> list[Load]:
    parts = [a.value, *(s for s in a.target.subscripts if isinstance(s, Expr))]
    return [x for part in (*parts, *((a.condition,) if a.condition else ())) for x in loads(part)]


def renamed(a: Assign, names: Mapping[Tensor, Tensor]) -> Assign:
    def change(e: Expr) -> Expr:
        e = rebuild(e, change)
        if isinstance(e, Load) and e.tensor in names:
            return Load(names[e.tensor], e.subscripts)
        return e

    return map_assign(a, change)


@dataclass
class Apart:
    """The inputs that the loads of a statement become."""

    names: Names
    target: str
    used: set[str] = field(default_factory=set)
    varied: dict[Load, Tensor] = field(default_factory=dict)
    fixed: dict[Tensor, Tensor] = field(default_factory=dict)

    def pairs(self) -> Iterable[tuple[Tensor, Tensor]]:
        yield from ((load.tensor, made) for load, made in self.varied.items())
        yield from self.fixed.items()

    def assign(self, a: Assign) -> Assign:
        """a with its loads made inputs; its target stays."""
        value = self.expression(a.value, False)
        condition = None if a.condition is None else self.expression(a.condition, False)
        target = Load(a.target.tensor, self.subscripts(a.target))
        return replace(a, target=target, value=value, condition=condition)

    def subscripts(self, load: Load) -> tuple[Subscript, ...]:
        return tuple(
            self.expression(s, True) if isinstance(s, Expr) else s for s in load.subscripts
        )

    def expression(self, e: Expr, stopped: bool) -> Expr:
        stopped = stopped or (isinstance(e, Apply) and e.function is Primitive.STOP_GRADIENT)
        if isinstance(e, Load):
            return Load(self.input(e, stopped), self.subscripts(e))
        return rebuild(e, lambda x: self.expression(x, stopped))

    def input(self, load: Load, stopped: bool) -> Tensor:
        tensor = load.tensor
        if stopped or not tensor.dtype.is_float:
            if tensor not in self.fixed:
                self.fixed[tensor] = self.new(tensor)
            return self.fixed[tensor]
        if load not in self.varied:
            self.varied[load] = self.new(tensor)
        return self.varied[load]

    def new(self, tensor: Tensor) -> Tensor:
        """An input like the tensor; only the first one has its name."""
        name = tensor.name
        if name in self.used or name == self.target:
            name = self.names.fresh(f"{name}.again")
        self.used.add(name)
        return replace(tensor, name=name, kind=Kind.INPUT)
