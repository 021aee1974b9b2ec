"""Every test run has a cache folder of its own: results of earlier runs must not answer for this one."""

from __future__ import annotations

import os
import tempfile

os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="nanalyze-cache-")
