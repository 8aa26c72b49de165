"""A machine for pickles that runs nothing: it knows lists, dicts, numbers, words, and a few names.

A pickle is a program for a machine with a stack and a memo, and some of its instructions call what
they name. Here a name is looked up in a table, and one that is not there is refused. What cannot be
part of weights (sets, for one) is left out.

https://github.com/python/cpython/blob/main/Lib/pickletools.py: the instructions
"""

import pickletools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from phistar.errors import WeightsError
from phistar.parameters.stored import Damaged

MOST_STEPS = 4_000_000  # of a pickle: the weights of ten thousand layers take a hundred times less
LONGEST_NAME = 512
MOST_COPIES = 8


class Opaque:
    """Something that weights are not made of."""


OPAQUE = Opaque()
MARK = Opaque()
Known = Mapping[tuple[str, str], Any]


class Buildable(ABC):
    """What an instruction BUILD may give a state to."""

    @abstractmethod
    def build(self, state: Any) -> None: ...


class Ordered(dict[Any, Any], Buildable):
    """An OrderedDict; its state is what PyTorch knows of the modules it comes from."""

    def build(self, state: Any) -> None:
        pass


class Machine:
    """The machine. known: what may be named, a value or a function by (module, name). persistent:
    what a persistent id stands for. size: of the pickle; no more is copied than a multiple of it.
    """

    def __init__(self, known: Known, persistent: Callable[[Any], Any], size: int) -> None:
        self.known, self.persistent = known, persistent
        self.left = MOST_COPIES * size
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0

    def load(self, file: Any) -> Any:
        """The object of the pickle that a file is at; the file is then after it.

        Raises WeightsError for a name that is not known, Damaged for what is no pickle.
        """
        try:
            for code, argument, _ in pickletools.genops(file):
                self.steps += 1
                if self.steps > MOST_STEPS:
                    raise Damaged("its pickle is longer than that of any weights")
                if code.name != "STOP":  # after which there is no other
                    self.step(code.name, argument)
            return self.pop()
        except (Damaged, WeightsError):
            raise
        except Exception as error:  # a damaged pickle may do anything to the stack
            raise Damaged(f"its pickle cannot be read ({error})") from None

    def step(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in PUSHED:
            self.stack.append(argument)
        elif name in MADE:
            self.stack.append(MADE[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        elif name not in NOTHING:
            raise Damaged(f"its pickle has the instruction {name}, which weights do not need")

    def pop(self) -> Any:
        """What is on top of the stack."""
        if not self.stack or (self.marks and self.marks[-1] == len(self.stack)):
            raise Damaged("its pickle takes what is not there")
        return self.stack.pop()

    def top(self) -> Any:
        top = self.pop()
        self.stack.append(top)
        return top

    def pop_marked(self) -> list[Any]:
        """Everything since the last mark."""
        if not self.marks:
            raise Damaged("its pickle takes what is not there")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def find(self, module: Any, name: Any) -> Any:
        """What a name stands for; WeightsError if it is not known."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Damaged("its pickle names something that has no name")
        if (module, name) not in self.known:
            raise WeightsError(
                f"it asks for {module[:80]}.{name[:80]}: only arrays are read, as in a state_dict()"
            )
        return self.known[module, name]

    def call(self, function: Any, arguments: Any) -> None:
        """Make something by a function of the table."""
        if not isinstance(function, Function) or not isinstance(arguments, tuple):
            raise Damaged("its pickle calls what cannot be called")
        self.copy(arguments)
        self.stack.append(function.make(*arguments))

    def copy(self, items: Any) -> None:
        """Damaged if what is recalled from the memo has been copied too often."""
        for item in items if isinstance(items, tuple) else ():
            self.left -= len(item) if isinstance(item, str | bytes | tuple | list | dict) else 0
        if self.left < 0:
            raise Damaged("its pickle copies what it holds too often")


class Function:
    """What a pickle may call."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


def mark(machine: Machine, _: Any) -> None:
    machine.marks.append(len(machine.stack))


def pop(machine: Machine, _: Any) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def pop_mark(machine: Machine, _: Any) -> None:
    machine.pop_marked()


def duplicate(machine: Machine, _: Any) -> None:
    machine.stack.append(machine.top())


def put(machine: Machine, place: Any) -> None:
    machine.memo[len(machine.memo) if place is None else int(place)] = machine.top()


def get(machine: Machine, place: Any) -> None:
    if int(place) not in machine.memo:
        raise Damaged("its pickle recalls what it never kept")
    machine.stack.append(machine.memo[int(place)])


def small_tuple(count: int) -> Callable[[Machine, Any], None]:
    def make(machine: Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(items[::-1]))

    return make


def marked_tuple(machine: Machine, _: Any) -> None:
    machine.stack.append(tuple(machine.pop_marked()))


def marked_list(machine: Machine, _: Any) -> None:
    machine.stack.append(machine.pop_marked())


def marked_dict(machine: Machine, _: Any) -> None:
    items, made = machine.pop_marked(), dict[Any, Any]()
    set_items(made, items)
    machine.stack.append(made)


def marked_set(machine: Machine, _: Any) -> None:
    machine.pop_marked()
    machine.stack.append(OPAQUE)


def append(machine: Machine, _: Any) -> None:
    item, items = machine.pop(), machine.top()
    extend(items, [item])


def appends(machine: Machine, _: Any) -> None:
    items = machine.pop_marked()
    extend(machine.top(), items)


def extend(items: Any, new: list[Any]) -> None:
    if type(items) is not list:
        raise Damaged("its pickle appends to what is no list")
    items.extend(new)


def add_items(machine: Machine, _: Any) -> None:
    machine.pop_marked()
    if machine.top() is not OPAQUE:
        raise Damaged("its pickle adds to what is no set")


def set_item(machine: Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    set_items(machine.top(), [key, value])


def set_marked(machine: Machine, _: Any) -> None:
    items = machine.pop_marked()
    set_items(machine.top(), items)


def set_items(made: Any, items: list[Any]) -> None:
    """Keys and values, in turn. Keys of other kinds could all have one hash."""
    if not isinstance(made, dict) or len(items) % 2:
        raise Damaged("its pickle gives items to what is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not (isinstance(key, str | bool | None) or is_short(key)):
            raise Damaged("its pickle has a dict whose keys are not words or numbers")
        made[key] = value


def is_short(key: Any) -> bool:
    return type(key) is int and key.bit_length() < 64


def global_name(machine: Machine, names: Any) -> None:
    module, _, name = str(names).partition(" ")
    machine.stack.append(machine.find(module, name))


def stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.stack.append(machine.find(module, name))


def reduce(machine: Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def old_object(machine: Machine, _: Any) -> None:
    items = machine.pop_marked()
    if not items:
        raise Damaged("its pickle calls nothing")
    machine.call(items[0], tuple(items[1:]))


def instance(machine: Machine, names: Any) -> None:
    module, _, name = str(names).partition(" ")
    items = machine.pop_marked()
    machine.call(machine.find(module, name), tuple(items))


def build(machine: Machine, _: Any) -> None:
    state, made = machine.pop(), machine.top()
    if not isinstance(made, Buildable):
        raise Damaged("its pickle gives a state to what has none")
    machine.copy(state)
    made.build(state)


def persistent(machine: Machine, argument: Any) -> None:
    machine.stack.append(machine.persistent(machine.pop() if argument is None else argument))


# fmt: off
PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}
MADE: dict[str, Callable[[], Any]] = {
    "NONE":       lambda: None,  "NEWTRUE":    lambda: True,  "NEWFALSE":  lambda: False,
    "EMPTY_LIST": list,          "EMPTY_DICT": dict,          "EMPTY_SET": lambda: OPAQUE,
    "EMPTY_TUPLE": tuple,
}
NOTHING = {"PROTO", "FRAME"}
STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK":   mark,            "POP":    pop,             "DUP":      duplicate,
    "POP_MARK": pop_mark,
    "PUT":    put,             "BINPUT": put,             "LONG_BINPUT": put,   "MEMOIZE":  put,
    "GET":    get,             "BINGET": get,             "LONG_BINGET": get,
    "TUPLE1": small_tuple(1),  "TUPLE2": small_tuple(2),  "TUPLE3":   small_tuple(3),
    "TUPLE":  marked_tuple,    "LIST":   marked_list,     "DICT":     marked_dict,
    "FROZENSET": marked_set,   "ADDITEMS": add_items,
    "APPEND": append,          "APPENDS": appends,
    "SETITEM": set_item,       "SETITEMS": set_marked,
    "GLOBAL": global_name,     "STACK_GLOBAL": stack_global,
    "REDUCE": reduce,          "NEWOBJ": reduce,          "OBJ":      old_object,
    "INST":   instance,        "BUILD":  build,
    "PERSID": persistent,      "BINPERSID": persistent,
}
# fmt: on


def leaves(holder: Any, wanted: tuple[type, ...], most: int) -> Iterator[tuple[str, Any]]:
    """The objects of a type inside dicts, lists and tuples, with the names joined by dots.

    Raises Damaged if there are more ways to them than `most`: an object may be inside itself.
    """
    stack: list[tuple[tuple[str, ...], int, Any]] = [((), 0, holder)]
    while stack:
        names, length, value = stack.pop()
        most -= 1
        if most < 0:
            raise Damaged("its pickle holds an object that is inside itself")
        if isinstance(value, wanted):
            yield ".".join(names), value
        for key, inside in reversed(contents(value)):
            longer = length + len(key) + 1
            if longer > LONGEST_NAME:
                raise Damaged("its pickle has a name that is too long")
            stack.append(((*names, key), longer, inside))


def contents(holder: Any) -> list[tuple[str, Any]]:
    match holder:
        case dict():
            return [(str(key), value) for key, value in holder.items()]
        case list() | tuple():
            return [(str(n), value) for n, value in enumerate(holder)]
    return []
