"""What every command has in common."""

import runpy
from pathlib import Path

import pytest

from tests.commands import ROOT, files, run_module

CHILDREN = {"pipeline.tracking.child", "benchmarks.accuracy_workers", "benchmarks.contestants"}
COMMANDS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("pipeline", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


def run_here(command: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `python -m command` in this process and return its exit status."""
    monkeypatch.setattr("sys.argv", [command, *arguments])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    return ended.value.code


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in CHILDREN])
def test_every_command_answers_help_and_refuses_what_it_does_not_know(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if command != "pipeline.train":  # whose help is Hydra's
        assert run_here(command, "--help", monkeypatch=monkeypatch) == 0
        assert f"usage: python -m {command} " in capsys.readouterr().out
    assert run_here(command, "--nowhere", monkeypatch=monkeypatch) == 2
    said = capsys.readouterr()
    assert "error: " in said.err and said.out == ""
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("command", "imported"), [("pipeline.train", "hydra"), ("pipeline.evaluate", "numpy")]
)
def test_ctrl_c_while_python_still_imports_is_no_traceback(
    command: str, imported: str, tmp_path: Path
) -> None:
    (tmp_path / f"{imported}.py").write_text("raise KeyboardInterrupt")
    done = run_module(tmp_path, command)
    assert done.stderr == "interrupted\n"
    assert done.returncode != 0
