"""With what congestion control files leave, and how to get a better one."""

from __future__ import annotations

import pytest

from jack.doctor.findings import Level
from jack.support import congestion
from tests.doctor.patient import Patient


@pytest.fixture
def sharing(patient: Patient) -> Patient:
    patient.share(patient.library)
    return patient


def test_bbr_is_said(sharing: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion, "got", lambda: "bbr")
    assert sharing.found("files leave with").level is Level.OK


def test_anything_else_is_named_with_the_way_to_allow_bbr(
    sharing: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(congestion, "got", lambda: "cubic")
    finding = sharing.found("files leave with cubic")
    assert finding.level is Level.WARN
    assert "sysctl -w net.ipv4.tcp_allowed_congestion_control=" in finding.remedy


@pytest.mark.parametrize("got", ["cubic", None])
def test_nothing_is_said_to_who_serves_nothing_or_where_the_system_does_not_tell(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, got: str | None
) -> None:
    monkeypatch.setattr(congestion, "got", lambda: got)
    if got is None:
        patient.share(patient.library)
    assert not [one.line for one in patient.examine() if "files leave" in one.text]
