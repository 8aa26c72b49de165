"""What of a file fits a model, by name and shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]
Wanted = tuple[int | None, ...]  # sizes that are not known yet are None

MANY = 8  # names that a report lists before it counts the rest


@dataclass(frozen=True)
class Report:
    """What of a file fits a model; it prints as sentences.

    matched: the model's names. missing: the model's names that the file does not have. unexpected:
    the file's that the model does not have. wrong_shape: the shape wanted and the shape found.
    renamed: the model's name by the file's, of what matched. left_out: what was not asked for.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: Mapping[str, tuple[Wanted, Shape]]
    renamed: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything asked for fits, both ways."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        renamed = [f"{theirs} -> {ours}" for theirs, ours in self.renamed.items()]
        lines = [f"{len(self.matched)} matched"]
        if renamed:
            lines[0] += f", {len(renamed)} of them renamed: {listed(renamed)}"
        for names, what in (
            (self.missing, "missing in the file"),
            (self.unexpected, "unexpected in the file"),
            (self.left_out, "left out"),
        ):
            if names:
                lines.append(f"{len(names)} {what}: {listed(names)}")
        lines += [
            f"{name} has shape {shown(wanted)} in the model, {shown(found)} in the file"
            for name, (wanted, found) in list(self.wrong_shape.items())[:MANY]
        ]
        if len(self.wrong_shape) > MANY:
            lines.append(f"and {len(self.wrong_shape) - MANY} more have another shape")
        if hint := self.hint():
            lines.append(hint)
        return lines

    def hint(self) -> str:
        """The prefix that names would match without, if that is all that is wrong with them."""
        for missing, unexpected, how in (
            (self.missing, self.unexpected, "names=[(r'^{}', '')]"),
            (self.unexpected, self.missing, "names=[(r'^', '{}')]"),
        ):
            prefix = common_prefix(missing, unexpected)
            if prefix:
                word = prefix.replace(".", r"\.") if "^{}" in how else prefix
                return f"they would match with {how.format(word)}"
        return ""


def common_prefix(plain: tuple[str, ...], longer: tuple[str, ...]) -> str:
    """What stands before every plain name in the longer ones, the same each time; "" if nothing."""
    if not plain or not longer:
        return ""
    ends = {name[: -len(plain[0])] for name in longer if name.endswith("." + plain[0])}
    names = set(longer)
    good = [end for end in ends if all(end + name in names for name in plain)]
    return min(good, key=len, default="")


def match(wanted: Mapping[str, Wanted | None], found: Mapping[str, Shape]) -> Report:
    """Compare names and shapes; a shape or a size None (not known yet) fits any."""
    both = [name for name in wanted if name in found]
    wrong = {
        name: (shape, tuple(found[name]))
        for name in both
        if (shape := wanted[name]) is not None and not fits(shape, found[name])
    }
    return Report(
        matched=tuple(name for name in both if name not in wrong),
        missing=tuple(name for name in wanted if name not in found),
        unexpected=tuple(name for name in found if name not in wanted),
        wrong_shape=wrong,
    )


def fits(wanted: Wanted, found: Shape) -> bool:
    return len(wanted) == len(found) and all(
        n is None or n == m for n, m in zip(wanted, found, strict=True)
    )


def shown(shape: Iterable[int | None]) -> str:
    """A shape as Python writes it, ? for a size that is not known."""
    sizes = ["?" if n is None else str(n) for n in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def listed(names: tuple[str, ...] | list[str]) -> str:
    rest = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + rest
