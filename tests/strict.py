"""The run-time type checker of the tests."""

from beartype import BeartypeConf, beartype

# An int is a float wherever a float is asked for, as type checkers have it (PEP 484).
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
