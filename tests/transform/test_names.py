from phistar.ir.build import load
from phistar.ir.program import Index
from phistar.transform.names import Names, covers, names_of, tensors_of
from transform.cases import affine, define, given, program, tensor

i, j = Index("i", 4), Index("j", 3)


def test_fresh_names():
    names = Names(["h", "h.pre"])
    assert [names.fresh("h.pre") for _ in range(2)] == ["h.pre2", "h.pre3"]
    assert names.fresh("s.pre") == "s.pre"
    assert [names.numbered("h.f") for _ in range(2)] == ["h.f1", "h.f2"]


def test_the_names_of_a_program():
    x, y = given("x", 4), tensor("y", 4)
    p = program(define(y, (i,), load(x, i)))
    assert tensors_of(p) == (x, y)
    assert names_of(p).fresh("x") == "x2"


def test_covers():
    T = tensor("T", 4, 3)
    assert covers(load(T, i, j))
    assert not covers(load(T, i, 0))
    assert not covers(load(T, affine((i, 1), offset=-1), j))
    assert not covers(load(tensor("S", 4, 4), i, i))
    assert not covers(load(tensor("R", 5), i))
    assert not covers(load(tensor("h", 4, halo=((1, 0),)), i))
