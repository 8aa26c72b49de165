"""The process in which one peer runs one workload, driven line by line through its pipe.

    {"do": "start", ...}             the adapter is made              {"version": ...}
    {"do": "check", "steps": ...}    the results of the first steps   {"results": [[...], ...]}
    {"do": "calibrate", "seconds"}   how many steps fill a window     {"steps", "seconds": a step}
    {"do": "window"}                 that many steps                  {"seconds": a step}
    {"do": "machine"}                what the machine can do          {"peak", "memory", "cache"}

Every window starts from the initial parameters, so all windows do the same arithmetic.
"""

import gc
import json
import os
import sys
import time
import traceback
from typing import Any

import numpy as np

from benchmarks import machine, workloads
from benchmarks.workload import Adapter, Workload

Answer = dict[str, Any]

MOST = 100_000  # steps in a window


class Worker:
    workload: Workload
    adapter: Adapter
    rows: np.ndarray[Any, Any]

    def start(self, workload: str, peer: str, tiny: bool) -> Answer:
        self.workload = workloads.find([workload], tiny)[0]
        self.adapter = self.workload.adapters[peer]()
        return {"version": sys.modules[peer.split("-")[0]].__version__}

    def check(self, steps: int) -> Answer:
        results, _ = self.adapter.steps(self.adapter.start(), self.workload.rows(steps))
        return {"results": [np.ravel(np.asarray(r, np.float64)).tolist() for r in results]}

    def calibrate(self, seconds: float) -> Answer:
        steps = 10
        while True:
            rows = self.workload.rows(steps)
            each = min(self.timed(rows), self.timed(rows))  # the first time it may be compiled
            wanted = max(2, min(round(seconds / each), MOST))
            if steps / 1.3 <= wanted <= steps * 1.3:
                break
            steps = min(wanted, 20 * steps)
        self.rows = rows
        return {"steps": steps, "seconds": each}

    def window(self) -> Answer:
        return {"seconds": self.timed(self.rows)}

    def machine(self) -> Answer:
        return machine.measure(int(os.environ["OMP_NUM_THREADS"]))

    def timed(self, rows: np.ndarray[Any, Any]) -> float:
        """The seconds that a step took."""
        state = self.adapter.start()
        gc.collect()
        gc.disable()
        begin = time.perf_counter()
        self.adapter.steps(state, rows)
        taken = time.perf_counter() - begin
        gc.enable()
        return taken / len(rows)


def main() -> None:
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            traceback.print_exc()
            words = " ".join(str(error).split())
            answer = {"error": f"{type(error).__name__}: {words}"}
        print(json.dumps(answer), file=out)


if __name__ == "__main__":
    main()
