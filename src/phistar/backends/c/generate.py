"""A lowered program as C source: one function a group, and the loop over steps around them.

struct run      where each tensor is in this step
group_N         the loop nests between two barriers, for a thread's range of the shared variable
work            what each thread does: every step, every group, a barrier after each
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from phistar.backends.c.ahead import gathered
from phistar.backends.c.emit import Function, Site
from phistar.backends.c.kernels import product_nest
from phistar.backends.c.memory import plan
from phistar.backends.c.names import Names, comment, identifier
from phistar.backends.c.nests import Local, Localising, fuse, nest
from phistar.backends.c.prepare import prepare
from phistar.backends.c.repeated import Body, Nest, functions
from phistar.backends.c.sharing import Sharing, work
from phistar.backends.c.slopes import share_slopes
from phistar.backends.c.spelling import C_TYPES
from phistar.backends.c.tree import (
    Group,
    Leaf,
    Loop,
    Node,
    Part,
    Repeat,
    Var,
    accesses,
    every_leaf,
    leaves,
)
from phistar.ir.printer import print_assign
from phistar.ir.program import Assign, Kind, Program, Tensor
from phistar.ir.walk import flat
from phistar.transform.names import names_of

HEADERS = (
    "program.h",
    "mathematics.h",
    "philox.h",
    "ahead.h",
    "products.h",
    "pictures.h",
    "windows.h",
)
ALONE = 200_000.0  # operations that one thread does before others could have begun


@dataclass
class Generated:
    """C source, and what a caller must know to call it.

    given: inputs in the order of `call.tensors`; results, which follow them, likewise. A tensor
    that is both is one that the program updates: it is passed once, with the inputs.
    """

    source: str
    given: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    arena: int  # bytes
    sites: tuple[Site, ...]
    parallel: bool
    nests: tuple[tuple[Assign, ...], ...]  # what `call.times` is about
    identifiers: dict[Tensor, str]  # of what comes in and goes out


def generate(program: Program, timed: bool = False) -> Generated:
    """The C of a lowered program; timed: it also measures how long each loop nest takes."""
    return Generation(program, timed).run()


@dataclass
class Generation:
    """One program on its way to C."""

    program: Program
    timed: bool = False
    nests: list[tuple[Assign, ...]] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    number: int = 0
    part: int = 0
    work: float = 0.0

    def run(self) -> Generated:
        program = self.program
        nodes, pictures = prepare(program)
        self.work = sum(work(node) for node in nodes)
        updated = dict.fromkeys(
            a.target.tensor
            for a in flat(program.statements)
            if a.target.tensor.kind is not Kind.VALUE
        )
        sharing = Sharing(names_of(program), pictures=pictures, updated=frozenset(updated))
        parts = sharing.divide(nodes)
        for group in groups(parts):
            share_slopes(group, sharing.names)
        self.outputs = tuple(t for t in program.outputs if t not in program.inputs)
        self.names = Names()
        for t in (*program.inputs, *self.outputs):
            self.names(t, t.name)
        for leaf in every_leaf(parts):  # before the first loop variable gets a name
            for access in accesses(leaf):
                self.names(access.tensor, access.tensor.name)
        self.order(parts)
        self.uses = Counter(a.tensor for leaf in every_leaf(parts) for a in accesses(leaf))
        self.used: dict[Tensor, None] = {}
        self.locals = {id(g.nodes): self.inside(g.nodes) for g in groups(parts)}
        inside = {t for found in self.locals.values() for t in found}
        self.plan = plan(parts, {*program.inputs, *self.outputs, *inside})
        body = list(self.parts(parts, {}, 2))
        offsets = {t: offset for t, offset in self.plan.offsets.items() if t in self.used}
        arena = self.plan.size
        results = tuple(dict.fromkeys((*program.outputs, *updated)))
        source = self.source(parts, body, offsets)
        parallel = self.work > ALONE
        return Generated(
            source,
            program.inputs,
            results,
            arena,
            tuple(self.sites),
            parallel,
            tuple(self.nests),
            {t: self.names(t, t.name) for t in (*program.inputs, *results)},
        )

    def order(self, parts: list[Part]) -> None:
        """The leaves of every group inside their loops, fused."""
        for part in parts:
            if isinstance(part, Repeat):
                self.order(part.body)
            else:
                part.nodes = fuse(nested(part.nodes, part.var), part.var)
                part.solo = fuse(nested(part.solo, None), None)

    def inside(self, nodes: list[Node]) -> dict[Tensor, Local]:
        """The tensors that live inside one loop of these."""
        finding = Localising(self.uses, frozenset(self.program.outputs))
        finding.run(nodes)
        return finding.locals()

    # Groups ---------------------------------------------------------------------------------------

    def parts(self, parts: list[Part], scans: dict[Var, str], depth: int) -> Iterator[str]:
        """The lines that run the parts one after another."""
        indent = "    " * depth
        for number, part in enumerate(parts):
            if depth == 2:
                self.part = number
            if isinstance(part, Repeat):
                name = identifier(part.var.name)
                while name in scans.values():
                    name += "_"
                begin, test, step = "0", f"{name} < {part.var.size}", f"{name}++"
                if part.backwards:
                    begin, test, step = f"{part.var.size - 1}", f"{name} >= 0", f"{name}--"
                yield f"{indent}for (long {name} = {begin}; {test}; {step}) {{"
                yield from self.parts(part.body, {**scans, part.var: name}, depth + 1)
                yield f"{indent}}}"
            else:
                yield from self.group(part, scans, indent)
                yield f"{indent}team_wait(call->team, threads);"

    def group(self, group: Group, scans: dict[Var, str], indent: str) -> Iterator[str]:
        given = "".join(f", {name}" for name in scans.values())
        if group.nodes:
            assert group.var is not None
            name = self.function(group.nodes, group, scans)
            n, chunk = group.var.size, group.step
            yield (
                f"{indent}{name}(&run, share({n}, {chunk}, thread, threads), "
                f"share({n}, {chunk}, thread + 1, threads){given});"
            )
        if group.solo:
            name = self.function(group.solo, None, scans)
            yield f"{indent}if (thread == 0) {name}(&run, 0, 0{given});"

    def function(self, nodes: list[Node], group: Group | None, scans: dict[Var, str]) -> str:
        """Writes the function; its name."""
        self.number += 1
        name = f"group_{self.number}"
        local = self.locals[id(nodes)] if group is not None else self.inside(nodes)
        f = Function(self.names, local, self.sites, scope=dict(scans))
        if group is not None:
            assert group.var is not None
            f.shared, f.chunk, f.chunk_size = group.var, group.chunk, group.step
        nests = [self.nest(node, f) for node in nodes]
        self.used |= f.used
        long_scans = "".join(f", long {scan}" for scan in scans.values())
        head = f"static void {name}(const struct run *run, long lo, long hi{long_scans}) {{"
        pointers = {self.names(t, t.name): self.pointer(t) for t in f.used}
        self.bodies.append(Body(head, pointers, tuple(scans.values()), nests))
        return name

    def nest(self, node: Node, f: Function) -> Nest:
        """The text of one loop nest."""
        f.lines, f.tables = [], []
        f.nodes([node])
        indent, before, after = "    ", list[str](), list[str]()
        comments = [indent + comment(print_assign(leaf.assign)) for leaf in leaves([node])]
        if self.timed:
            number = len(self.nests)
            before.append(f"{indent}double begin_{number} = seconds();")
            after.append(f"{indent}run->times[{number}] += seconds() - begin_{number};")
            self.nests.append(tuple(leaf.assign for leaf in leaves([node])))
        return Nest(comments, f.tables, f.lines, before, after)

    def pointer(self, t: Tensor) -> str:
        """The tensor by its name; restrict, if no other has the same place in this part."""
        alone = self.part not in self.plan.together.get(t, ())
        name = self.names(t, t.name)
        return f"{C_TYPES[t.dtype]} *{'restrict ' if alone else ''}{name}"

    def ahead(self, parts: list[Part]) -> Iterator[str]:
        """Which rows this thread gathers in the next step."""
        found = gathered(parts, self.program.inputs)
        if found is None:
            return
        assert found.group.var is not None
        n, chunk = found.group.var.size, found.group.step
        number = self.program.inputs.index(found.rows)
        begin, end = (f"share({n}, {chunk}, thread{more}, threads)" for more in ("", " + 1"))
        yield "        if (step + 1 < call->steps)"
        yield (
            f"            ahead_begin(run.{self.names(found.data, found.data.name)}, {found.size}, "
            f"{found.data.storage[0]}, (const int64_t *)tensor_of(call, {number}, step + 1) + "
            f"{begin}, {end} - {begin});"
        )
        yield "        else ahead_begin(NULL, 0, 0, NULL, 0);"

    # Text -----------------------------------------------------------------------------------------

    def source(self, parts: list[Part], body: list[str], offsets: dict[Tensor, int]) -> str:
        passed = (*self.program.inputs, *self.outputs)
        fields, values = [], []
        for number, t in enumerate(passed):
            name = self.names(t, t.name)
            fields.append(f"    {C_TYPES[t.dtype]} *{name}; {comment(described(t))}")
            values.append(f"            .{name} = tensor_of(call, {number}, step),")
        for t, offset in offsets.items():
            name = self.names(t, t.name)
            fields.append(f"    {C_TYPES[t.dtype]} *{name}; {comment(described(t))}")
            values.append(f"            .{name} = (void *)(call->arena + {offset}),")
        return "\n".join(
            [
                comment(f"phistar: {self.program.name}"),
                *(f'#include "{header}"' for header in HEADERS),
                "",
                "struct run {",
                "    uint32_t seed_low, seed_high, step; // what random fields are a function of",
                "    long number;                        // of the step in this call",
                "    struct failure *failure;",
                *(["    double *times;"] if self.timed else []),
                *fields,
                "};",
                "",
                "\n\n".join(functions(self.bodies, self.names.taken)),
                "",
                "static void work(void *given, int thread, int threads) {",
                "    const struct call *call = given;",
                "    for (long step = 0; step < call->steps; step++) {",
                "        const struct run run = {",
                "            .seed_low = (uint32_t)call->seed,",
                "            .seed_high = (uint32_t)(call->seed >> 32),",
                "            .step = (uint32_t)(call->step + step),",
                "            .number = step,",
                "            .failure = call->failures + thread,",
                *(
                    [f"            .times = call->times + thread * {len(self.nests)},"]
                    if self.timed
                    else []
                ),
                *values,
                "        };",
                *self.ahead(parts),
                *body,
                "    }",
                "}",
                "",
                "void phistar_run(struct call *call, int threads) {",
                "    call->team_run(call->team, work, call, threads);",
                "}",
                "",
            ]
        )


def nested(nodes: Iterable[Node], shared: Var | None) -> list[Node]:
    out: list[Node] = []
    for node in nodes:
        if isinstance(node, Leaf):
            out.extend(product_nest(node, shared) or nest(node, shared))
        elif isinstance(node, Loop):
            node.body = nested(node.body, shared)
            out.append(node)
    return out


def described(t: Tensor) -> str:
    return f"{t.name}[{', '.join(map(str, t.storage))}] {t.kind.value}"


def groups(parts: Iterable[Part]) -> Iterator[Group]:
    for part in parts:
        if isinstance(part, Group):
            yield part
        else:
            yield from groups(part.body)
