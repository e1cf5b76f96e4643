"""An installation for the doctor to look at: folders, a config, and what it says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jack.config import Config, load_config
from jack.doctor import examine
from jack.doctor.findings import Finding, Level
from jack.support.clock import SystemClock
from tests.support.fake_arr import FakeArr
from tests.support.scripted_peer import ScriptedPeer

PEER_KEY = "K-SENTINEL-peer-0123456789"
ARR_KEY = "K-SENTINEL-arr-0123456789"
JACK_KEY = "K-SENTINEL-jack-0123456789"


class Patient:
    """`examine` gives all findings; `blocks` are those of the config."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.watch = root / "torrents" / "watch"
        self.completed = root / "torrents" / "completed"
        self.library = root / "video"
        for folder in (self.watch, self.completed, self.library, root / "state"):
            folder.mkdir(parents=True)
        (self.library / "Film (2020).mkv").write_bytes(b"film")
        self.blocks: dict[str, Any] = {
            "jack": {"statePath": str(root / "state")},
            "downloads": {
                "watchPath": str(self.watch),
                "completedPath": str(self.completed),
                "minFreeBytes": 1,
            },
        }

    @property
    def path(self) -> Path:
        """The config, written as it is now."""
        path = self.root / "jack.yaml"
        path.write_text(json.dumps(self.blocks))  # JSON is YAML
        return path

    def config(self) -> Config:
        return load_config(self.path, {})

    def befriend(self, peer: ScriptedPeer, **more: Any) -> None:
        entry = {"name": "friend", "url": peer.url, "apiKey": PEER_KEY, **more}
        self.blocks.setdefault("peers", []).append(entry)

    def employ(self, arr: FakeArr, **more: Any) -> None:
        entry = {"name": "Movies", "type": arr.kind, "url": arr.url, "apiKey": ARR_KEY, **more}
        self.blocks.setdefault("servers", []).append(entry)

    def share(self, *folders: Path) -> None:
        self.blocks["jack"]["apiKey"] = JACK_KEY
        self.blocks["library"] = [{"folder": str(folder)} for folder in folders]

    def examine(self) -> list[Finding]:
        return list(examine(self.config(), SystemClock()))

    def found(self, words: str) -> Finding:
        """The one finding whose text holds `words`."""
        findings = self.examine()
        matching = [finding for finding in findings if words in finding.text]
        assert len(matching) == 1, [finding.line for finding in findings]
        return matching[0]

    def troubles(self) -> list[str]:
        return [finding.line for finding in self.examine() if finding.level is Level.FAIL]

    def leftovers(self) -> list[str]:
        return [path.name for path in self.root.rglob(".jack-doctor-*")]
