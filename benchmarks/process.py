"""A worker as the runner sees it: requests and answers in JSON, a line each, with a time limit."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LIMIT = 240.0  # seconds for an answer: compiling may take long, but not for ever


class WorkerError(Exception):
    """Why a peer was not measured."""


class Process:
    """A worker process; only one is asked at a time, the others wait at their pipes."""

    def __init__(self, threads: int, backend: str, python: str = sys.executable) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  lives as long as the process
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=ROOT,
            env={**os.environ, **environment(threads, backend)},
            text=True,
        )

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The worker's answer; WorkerError if it has none or says why not."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self.last_words()) from None
        if not select.select([self.process.stdout], [], [], LIMIT)[0]:
            self.process.kill()
            raise WorkerError(f"no answer to {do!r} in {LIMIT:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(self.last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def last_words(self) -> str:
        """How the process ended, and the last line that it wrote."""
        code = self.process.wait()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return f"the process ended with code {code}: {lines[-1] if lines else 'no message'}"

    def end(self) -> None:
        """Close the pipe, at which the worker leaves; be firm if it does not."""
        assert self.process.stdin is not None and self.process.stdout is not None
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def environment(threads: int, backend: str) -> dict[str, str]:
    """As many threads for every library, and all on the processor; phistar from this checkout."""
    path = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    limits = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "PHISTAR_THREADS",
    )
    return {
        **dict.fromkeys(limits, str(threads)),
        "PYTHONPATH": os.pathsep.join(path),
        "PHISTAR_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def pause() -> None:
    """Long enough for the last process's threads to stop spinning."""
    time.sleep(0.03)
