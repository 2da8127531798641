"""The examples in docstrings."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["dataset", "events", "evlib", "prefetch"])
def test_examples(name):
    if name == "evlib":
        pytest.importorskip("polars")
    module = importlib.import_module(f"presence.{name}")
    done = doctest.testmod(module)
    assert done.failed == 0
    assert done.attempted > 0
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and value.__doc__:
            parser = doctest.DocTestParser().get_doctest(
                value.__doc__, {}, value.__name__, None, None
            )
            assert doctest.DocTestRunner().run(parser).failed == 0
