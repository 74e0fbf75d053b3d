"""Where credentials are by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class ClientConfiguration:
    def get_credential(self, name: str) -> dict[str, Any]:
        credentials: dict[str, dict[str, Any]] = json.loads(Path(os.environ["CATALYSIS_CONFIG"]).read_text())
        return credentials[name]
