"""What the doctor says of files that others can read, and of libraries that hold jack itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from jack.config import Config, load_config
from jack.doctor.findings import Level
from jack.doctor.secrecy import secrecy_findings

KEY = "0123456789abcdef"


def said(config: Config) -> list[str]:
    findings = list(secrecy_findings(config))
    assert all(finding.level is Level.WARN for finding in findings)
    return [finding.line for finding in findings]


def config_in(folder: Path, library: str = "/nowhere") -> Config:
    (folder / "key").write_text(KEY)
    path = folder / "jack.yaml"
    path.write_text(
        f"jack: {{apiKey: {{file: {folder}/key}}, statePath: {folder}}}\n"
        f"library: [{{folder: {library}}}]\n"
    )
    for name in ("key", "jack.yaml"):
        (folder / name).chmod(0o600)
    return load_config(path, {})


def test_files_that_only_jack_reads_are_no_news(tmp_path: Path) -> None:
    assert said(config_in(tmp_path)) == []


@pytest.mark.parametrize("mode", [0o640, 0o604])
@pytest.mark.parametrize("name", ["key", "jack.yaml"])
def test_a_file_with_a_secret_that_group_or_others_can_read_is_named(
    tmp_path: Path, name: str, mode: int
) -> None:
    config = config_in(tmp_path)
    (tmp_path / name).chmod(mode)
    (line,) = said(config)
    assert f"{tmp_path}/{name}" in line
    assert f"mode {mode:04o}" in line
    assert "chmod 600" in line


def test_a_library_that_holds_jacks_state_is_named(tmp_path: Path) -> None:
    (line,) = said(config_in(tmp_path, library=str(tmp_path.parent)))
    assert "contains jack's own" in line
    assert f"{tmp_path}" in line


def test_a_library_that_is_the_whole_machine_is_named(tmp_path: Path) -> None:
    (line,) = said(config_in(tmp_path, library="/"))
    assert "the whole machine" in line
