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
