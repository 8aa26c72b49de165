"""A program as a folder of C that builds with `cc -O3 *.c -lm` alone.

NAME.c, NAME.h    the program, as phistar runs it, and how to call it
main.c            reads a file for each tensor, runs the program, writes what it made
*.h, team.c       the run time
values/*.bin      the tensors, numbers one after another as they lie in memory
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phistar.backends.c.compiled import RUNTIME
from phistar.backends.c.generate import Generated, generate
from phistar.backends.c.names import comment, identifier
from phistar.backends.c.spelling import C_TYPES
from phistar.errors import UsageError
from phistar.ir.program import Program, Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Epochs:
    """How often an exported algorithm goes through its data, and in which order.

    rows: the inputs that say which examples a minibatch has. counter: the input that is the number
    of the step, if there is one.
    """

    examples: int
    batch: int
    epochs: int
    seed: int
    shuffle: bool
    loss: str
    rows: tuple[str, ...]
    counter: str | None


def export(
    program: Program,
    name: str,
    folder: Path,
    values: Mapping[str, Array],
    epochs: Epochs | None = None,
) -> list[Path]:
    """Writes the folder; the files it has then. UsageError if the folder has other things."""
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"name= is to be a C identifier, not {name!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"the folder {folder} is not empty: export_c wants a new one")
    made = generate(program)
    name = identifier(name)
    files = {
        f"{name}.c": library(made, name, varying(made, epochs)),
        f"{name}.h": header(made, name),
        "main.c": main(made, name, epochs),
        **{path.name: path.read_text() for path in sorted(RUNTIME.glob("*.[ch]"))},
    }
    (folder / "values").mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    written = [folder / file for file in files]
    for t in made.given:
        if t.name in values:
            path = folder / "values" / f"{made.identifiers[t]}.bin"
            path.write_bytes(np.ascontiguousarray(values[t.name], t.dtype.numpy).tobytes())
            written.append(path)
    return written


def varying(made: Generated, epochs: Epochs | None) -> set[Tensor]:
    """Inputs that have a row for each step."""
    if epochs is None:
        return set()
    return {t for t in made.given if t.name in epochs.rows or t.name == epochs.counter}


def passed(made: Generated) -> list[Tensor]:
    """Every tensor of a call, in its order."""
    return [*made.given, *(t for t in made.results if t not in made.given)]


def bytes_of(t: Tensor) -> int:
    return int(np.prod(t.storage, dtype=np.int64)) * t.dtype.numpy.itemsize


def header(made: Generated, name: str) -> str:
    fields = []
    for t in passed(made):
        what = "in" if t not in made.results else "updated" if t in made.given else "out"
        shape = ", ".join(map(str, t.storage))
        said = comment(f"{t.name}[{shape}], {what}")
        fields.append(f"    {C_TYPES[t.dtype]} *{made.identifiers[t]}; {said}")
    return "\n".join(
        [
            f"#ifndef PHISTAR_{name}_H",
            f"#define PHISTAR_{name}_H",
            "#include <stdint.h>",
            "",
            f"struct {name} {{",
            *fields,
            "};",
            "",
            "/* The program, `steps` times; what has a row for each step is as many rows long.",
            "   Gives 0, or the number of the subscript that was out of range. */",
            f"long {name}_run({ARGUMENTS.replace('@', name)});",
            "#endif",
            "",
        ]
    )


def library(made: Generated, name: str, rows: set[Tensor]) -> str:
    tensors = passed(made)
    pointers = ", ".join(f"tensors->{made.identifiers[t]}" for t in tensors)
    strides = [bytes_of(t) if t in rows or t not in made.given else 0 for t in tensors]
    source = made.source.replace("\nvoid phistar_run(", "\nstatic void phistar_run(")
    return "\n".join(
        [
            source,
            f'#include "{name}.h"',
            "",
            f"long {name}_run({ARGUMENTS.replace('@', name)}) {{",
            "    static char *arena;",
            "    static struct team *team;",
            f"    if (arena == NULL) arena = aligned_alloc(64, {made.arena // 64 * 64 + 128});",
            "    if (threads < 1) threads = 1;",
            "    if (threads > 64) threads = 64;",
            "    if (team == NULL && threads > 1) team = team_new(threads);",
            "    if (arena == NULL) return -1;",
            f"    void *all[] = {{{pointers}}};",
            f"    const long strides[] = {{{', '.join(map(str, strides))}}};",
            "    struct failure failures[64] = {{0}};",
            "    struct call call = {",
            "        .tensors = all, .strides = strides, .steps = steps, .seed = seed,",
            "        .step = step, .arena = arena, .team = team, .team_run = team_run,",
            "        .failures = failures,",
            "    };",
            "    phistar_run(&call, threads);",
            "    for (int thread = 0; thread < threads; thread++)",
            "        if (failures[thread].site) return failures[thread].site;",
            "    return 0;",
            "}",
            "",
        ]
    )


ARGUMENTS = "struct @ *tensors, long steps, uint64_t seed, uint64_t step, int threads"
MAIN = """\
// cc -O3 *.c -lm -o main && ./main [threads]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "@.h"

static void *room(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes / 64 + 1) * 64);
    if (memory == NULL) exit((perror("memory"), 1));
    memset(memory, 0, bytes);
    return memory;
}

static void *from_file(const char *name, size_t bytes) {
    FILE *file = fopen(name, "rb");
    void *memory = room(bytes);
    if (file == NULL || fread(memory, 1, bytes, file) != bytes) exit((perror(name), 1));
    fclose(file);
    return memory;
}

static void to_file(const char *name, const void *memory, size_t bytes) {
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(memory, 1, bytes, file) != bytes || fclose(file) != 0)
        exit((perror(name), 1));
}
"""

FAILED = '    if (failed) return fprintf(stderr, "subscript %ld is out of range\\n", failed), 1;'
ORDER = """
/* Philox4x64-10 (Salmon et al., 2011), as NumPy runs it: word number n of a key. */
static uint64_t random_word(uint64_t k0, uint64_t k1, uint64_t n) {
    uint64_t c[4] = {n / 4 + 1, 0, 0, 0};
    for (int round = 0; round < 10; round++) {
        unsigned __int128 a = (unsigned __int128)0xD2E7470EE14C6C93u * c[0];
        unsigned __int128 b = (unsigned __int128)0xCA5A826395121157u * c[2];
        uint64_t next[4] = {(uint64_t)(b >> 64) ^ c[1] ^ k0, (uint64_t)b,
                            (uint64_t)(a >> 64) ^ c[3] ^ k1, (uint64_t)a};
        memcpy(c, next, sizeof c);
        k0 += 0x9E3779B97F4A7C15u;
        k1 += 0xBB67AE8584CAA73Bu;
    }
    return c[n % 4];
}

/* The order of an epoch: a Feistel network, keyed by the epoch, walked until it stays within n. */
#define ROUNDS 12

static uint32_t mixed(uint32_t half, uint32_t factor, uint32_t offset, int bits) {
    uint32_t x = half * factor + offset;
    x ^= x >> 15;
    x *= 0x7FEB352Du;
    x ^= x >> 16;
    return (x * factor) >> (32 - bits);
}

static void shuffle(int64_t *rows, int64_t n, uint64_t seed, uint64_t epoch) {
    uint32_t factor[ROUNDS], offset[ROUNDS];
    for (int k = 0; k < ROUNDS; k++) {
        factor[k] = (uint32_t)(random_word(seed, epoch, (uint64_t)k) >> 32) | 1;
        offset[k] = (uint32_t)(random_word(seed, epoch, (uint64_t)(k + ROUNDS)) >> 32);
    }
    int bits = 2;
    while (((int64_t)1 << bits) < n) bits++;
    int low = bits / 2, high = bits - low;
    for (int64_t position = 0; position < n; position++) {
        int64_t row = position;
        do {
            uint32_t left = (uint32_t)(row >> low);
            uint32_t right = (uint32_t)(row & (((int64_t)1 << low) - 1));
            for (int k = 0; k < ROUNDS; k++) {
                uint32_t next = left ^ mixed(right, factor[k], offset[k], k % 2 ? low : high);
                left = right;
                right = next;
            }
            row = ((int64_t)left << low) | right;
        } while (row >= n);
        rows[position] = row;
    }
}
"""


def main(made: Generated, name: str, epochs: Epochs | None) -> str:
    """main.c: a program that uses the library."""
    lines = [MAIN.replace("@", name)]
    if epochs is not None and epochs.shuffle:
        lines.append(ORDER)
    steps = 1 if epochs is None else epochs.examples // epochs.batch
    rows = varying(made, epochs)
    lines += [
        "",
        "int main(int count, char **words) {",
        "    int threads = count > 1 ? atoi(words[1]) : (int)sysconf(_SC_NPROCESSORS_ONLN);",
        f"    struct {name} t = {{",
    ]
    for t in passed(made):
        field = made.identifiers[t]
        if t in made.given and t not in rows:
            lines.append(f'        .{field} = from_file("values/{field}.bin", {bytes_of(t)}),')
        else:
            lines.append(f"        .{field} = room({bytes_of(t)} * (size_t){steps}),")
    lines.append("    };")
    if epochs is None:
        lines.append(f"    long failed = {name}_run(&t, 1, 0, 0, threads);")
        lines.append(FAILED)
    else:
        lines += training(made, name, epochs, steps)
    for t in made.results:
        field = made.identifiers[t]
        size = bytes_of(t) if t in made.given or epochs is None else 0
        if size:
            lines.append(f'    to_file("values/{field}.out.bin", t.{field}, {size});')
    lines += ["    return 0;", "}", ""]
    return "\n".join(lines)


def training(made: Generated, name: str, epochs: Epochs, steps: int) -> list[str]:
    """The epochs of an algorithm."""
    fields = {t.name: made.identifiers[t] for t in passed(made)}
    loss, n, used = fields[epochs.loss], epochs.examples, steps * epochs.batch
    first, *others = (fields[row] for row in epochs.rows)
    order = (
        f"shuffle(rows, {n}, {epochs.seed}u, (uint64_t)epoch);"
        if epochs.shuffle
        else f"for (int64_t row = 0; row < {n}; row++) rows[row] = row;"
    )
    lines = [
        f"    int64_t *rows = room({n} * sizeof *rows);",
        f"    for (long epoch = 0; epoch < {epochs.epochs}; epoch++) {{",
        f"        {order}",
        f"        memcpy(t.{first}, rows, {used} * sizeof *rows);",
        *(f"        memcpy(t.{other}, rows, {used} * sizeof *rows);" for other in others),
    ]
    if epochs.counter is not None:
        counter = fields[epochs.counter]
        lines.append(
            f"        for (long step = 0; step < {steps}; step++) "
            f"t.{counter}[step] = epoch * {steps} + step;"
        )
    return [
        *lines,
        f"        uint64_t first = (uint64_t)epoch * {steps}u;",
        f"        long failed = {name}_run(&t, {steps}, {epochs.seed}u, first, threads);",
        f"    {FAILED}",
        "        double sum = 0;",
        f"        for (long step = 0; step < {steps}; step++) sum += (double)t.{loss}[step];",
        f'        printf("epoch %ld: loss %.6f\\n", epoch + 1, sum / {steps});',
        "    }",
    ]
