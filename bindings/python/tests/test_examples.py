"""The examples run, and draw."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("presence_per_hour", f"20:00 {'█' * 36:40}  90%"),
        ("scrubbing_mot", "there already: "),
        ("events_to_voxels", "bin 3: "),
        ("training_windows", "3 episodes: states (12, 20, 3), actions (12, 20)"),
    ],
)
def test_it_draws(name, drawn, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [name])
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    printed = capsys.readouterr().out
    assert drawn in printed
    assert len(printed.splitlines()) >= 4


@pytest.mark.parametrize("name", ["presence_per_hour", "events_to_voxels"])
def test_it_draws_as_a_notebook(name, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [name])
    as_notebook = runpy.run_path(str(EXAMPLES / "as_notebook.py"))
    made = as_notebook["notebook"](EXAMPLES / f"{name}.py")
    words, *code = made["cells"]
    assert words["cell_type"] == "markdown" and '"' not in words["source"]
    assert len(code) >= 3
    names = {"__name__": "__main__"}
    for cell in code:
        exec(cell["source"], names)
    assert len(capsys.readouterr().out.splitlines()) >= 4
