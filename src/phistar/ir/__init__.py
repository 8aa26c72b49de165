"""The intermediate representation: primitives, programs, checker, printer, parser."""
