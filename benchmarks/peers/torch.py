"""PyTorch: eager, compiled, or with the channels of images last in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import optimizers
from benchmarks.workload import Array, Training


class Trainer:
    """The loss is written without modules, which is the quickest that eager mode gets."""

    def __init__(
        self, task: Training, *, compiled: bool = False, channels_last: bool = False
    ) -> None:
        assert task.torch is not None
        layout = last if channels_last else torch.from_numpy
        self.optimizer = task.optimizer
        self.initial = {n: layout(a) for n, a in task.initial().items()}
        self.p = {
            n: t.clone() if n in task.states else torch.nn.Parameter(t.clone())
            for n, t in self.initial.items()
        }
        self.trained = [t for t in self.p.values() if isinstance(t, torch.nn.Parameter)]
        self.columns = {n: layout(a) for n, a in task.data().items()}
        loss = task.torch(self.p)
        self.loss = torch.compile(loss) if compiled else loss
        self.batch = batch_last if channels_last else batch

    def start(self) -> torch.optim.Optimizer:
        with torch.no_grad():
            for name, tensor in self.p.items():
                tensor.copy_(self.initial[name])
                tensor.grad = None
        return optimizer(self.optimizer, self.trained)

    def steps(self, state: torch.optim.Optimizer, rows: Array) -> tuple[Array, Any]:
        losses = []
        for at in torch.from_numpy(rows):
            loss = self.loss(**{n: self.batch(c, at) for n, c in self.columns.items()})
            loss.backward()
            state.step()
            state.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return torch.stack(losses).numpy(), state


def batch(column: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    return column.index_select(0, at)


def last(array: Array) -> torch.Tensor:
    """Four axes: n c y x, with c last in memory."""
    tensor = torch.from_numpy(array)
    if tensor.ndim == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


def batch_last(column: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    if column.ndim == 4:
        return column.permute(0, 2, 3, 1).index_select(0, at).permute(0, 3, 1, 2)
    return column.index_select(0, at)


def optimizer(
    wanted: optimizers.Optimizer, parameters: list[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Fused: one call for all parameters, the quickest there is on a CPU."""
    match wanted:
        case optimizers.SGD(rate, momentum, decay):
            return torch.optim.SGD(
                parameters, rate, momentum=momentum, weight_decay=decay, fused=True
            )
        case optimizers.AdamW(rate, beta1, beta2, eps, decay):
            return torch.optim.AdamW(
                parameters, rate, (beta1, beta2), eps, weight_decay=decay, fused=True
            )
        case optimizers.Adam(rate, beta1, beta2, eps):
            return torch.optim.Adam(parameters, rate, (beta1, beta2), eps, fused=True)


class Predictor:
    """One call for each row, with an array of NumPy's in and out."""

    def __init__(
        self, model: Callable[[torch.Tensor], torch.Tensor], x: Array, *, compiled: bool = False
    ) -> None:
        self.model = torch.compile(model) if compiled else model
        self.x = x

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        with torch.inference_mode():
            return [self.model(torch.from_numpy(self.x[at])).numpy() for at in rows], None


def tensors(arrays: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in arrays.items()}
