"""A program followed by its backward program: forward, backward, updates.

This is the swap rule with what it needs around it: `chop`, `stabilise`, `versions` and `lift`
before it, the adjoint of the loss and the gradients that are 0 after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from phistar.ir.build import const, settle, whole
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Kind, Program, Tensor
from phistar.ir.walk import map_assign, map_statements, replace_tensors
from phistar.transform.chop import chop
from phistar.transform.lift import lift
from phistar.transform.names import names_of
from phistar.transform.stabilise import stabilise
from phistar.transform.swap import Backward, Step, swap
from phistar.transform.versions import commits, everywhere, refuse_lost_values, versions


@dataclass(frozen=True)
class Differentiated:
    """A program with its backward program.

    `gradients` says which tensor holds the gradient of which; `loss_grad` is the adjoint of the
    loss: 1, or an input, where the caller gives it. `steps` has the backward statements beside the
    forward statements that they come from.
    """

    program: Program
    gradients: Mapping[Tensor, Tensor]
    loss_grad: Tensor
    steps: tuple[Step, ...]


def differentiate(
    program: Program,
    loss: Tensor,
    wrt: Iterable[Tensor] | None = None,
    given: bool = False,
    outputs: Iterable[Tensor] | None = None,
) -> Differentiated:
    """The program followed by its backward program: forward, backward, updates.

    The adjoint of the loss is 1, or, if `given`, an input named like `L.grad`. A tensor of `wrt`
    that the loss does not depend on has gradient 0. The outputs are the given ones (None: the
    program's own), then the gradients of `wrt`.
    """
    program = versions(stabilise(chop(program)))
    statements, updates = commits(program.statements)
    forward = lift(replace(program, statements=statements))
    wrt = None if wrt is None else tuple(wrt)
    backward = swap(forward, loss, wrt)
    refuse_lost_values(forward.statements, backward.statements)
    seed: list[Assign] = []
    if not given:
        backward = with_seed_one(backward)
        seed = [constant(backward.loss_grad, 1)]
    gradients, zeros = gradients_of(forward, backward, wrt)
    asked = program.outputs if outputs is None else tuple(outputs)
    result = replace(
        program,
        statements=(*forward.statements, *seed, *backward.statements, *zeros, *updates),
        inputs=(*program.inputs, backward.loss_grad) if given else program.inputs,
        outputs=tuple(dict.fromkeys((*asked, *gradients.values()))),
    )
    return Differentiated(result, gradients, backward.loss_grad, backward.steps)


def with_seed_one(backward: Backward) -> Backward:
    """The backward program with L.grad as a value, 1."""
    given = backward.loss_grad
    seed = replace(given, kind=Kind.VALUE)
    swapped = {given: seed}

    def settle_seed(a: Assign) -> list[Assign]:
        return [map_assign(a, lambda e: replace_tensors(e, swapped))]

    steps = tuple((s, map_statements(b, settle_seed)) for s, b in backward.steps)
    adjoints = {t: swapped.get(grad, grad) for t, grad in backward.adjoints.items()}
    return Backward(seed, steps, adjoints)


def constant(tensor: Tensor, value: float) -> Assign:
    """tensor[...] = value."""
    return Assign(whole(tensor, everywhere(tensor)), Op.SET, settle(const(value), tensor.dtype))


def gradients_of(
    forward: Program, backward: Backward, wrt: tuple[Tensor, ...] | None
) -> tuple[dict[Tensor, Tensor], list[Assign]]:
    """The gradient of each tensor of `wrt`, and statements for those that are 0."""
    found = dict(backward.adjoints)
    if wrt is None:
        return found, []
    names = names_of(replace(forward, statements=(*forward.statements, *backward.statements)))
    zeros = []
    for tensor in wrt:
        if tensor not in found:
            name = names.fresh(f"{tensor.name}.grad")
            found[tensor] = replace(tensor, name=name, kind=Kind.VALUE)
            zeros.append(constant(found[tensor], 0))
    return {tensor: found[tensor] for tensor in wrt}, zeros
