"""Every example in the documentation runs, and everything public has some."""

import doctest
import importlib
import inspect
import pkgutil

import presence
import pytest

MODULES = [presence] + [
    importlib.import_module(info.name)
    for info in pkgutil.walk_packages(presence.__path__, "presence.")
    if not info.name.endswith((".__main__", "._native"))
]


def objects():
    for module in MODULES:
        yield module.__name__, module
        for name, one in vars(module).items():
            if inspect.isclass(one) or inspect.isroutine(one):
                if getattr(one, "__module__", None) == module.__name__:
                    yield f"{module.__name__}.{name}", one
    for name in presence.__all__:
        one = getattr(presence, name)
        if getattr(one, "__doc__", None):
            yield f"presence.{name}", one


@pytest.mark.parametrize("named", dict(objects()).items(), ids=lambda named: named[0])
def test_examples_run(named):
    name, one = named
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    documented = [(name, one)]
    if inspect.isclass(one):
        documented += [(f"{name}.{n}", member) for n, member in vars(one).items()]
    for called, member in documented:
        text = getattr(member, "__doc__", None)
        if not isinstance(text, str) or ">>>" not in text:
            continue
        if "import h5py" in text:
            pytest.importorskip("h5py", reason="h5py is not installed")
        test = parser.get_doctest(inspect.cleandoc(text), {}, called, None, 0)
        told = []
        runner.run(test, out=told.append)
        assert not runner.summarize(verbose=False).failed, "".join(told)


def test_everything_public_says_what_it_is():
    for name in presence.__all__:
        one = getattr(presence, name)
        assert name == "__version__" or one.__doc__, name
        if inspect.isclass(one):
            for called, member in vars(one).items():
                if not called.startswith("_") and callable(member):
                    assert member.__doc__, f"{name}.{called}"


def test_everything_public_has_an_example():
    """Each function and class of the modules; methods have what their class shows."""
    for module in ("", ".dataset", ".events", ".evlib", ".prefetch"):
        named = importlib.import_module(f"presence{module}")
        for name in named.__all__:
            one = getattr(named, name)
            if one in (presence.PresenceError, presence.events.Events):
                continue
            if inspect.isclass(one) or inspect.isroutine(one):
                assert ">>>" in (one.__doc__ or ""), f"presence{module}.{name}"
