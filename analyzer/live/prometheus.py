"""Numbers of the watched runs for Prometheus, on an address that the user names (`--listen 127.0.0.1:9464`)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from analyzer.errors import UsageError
from analyzer.live.session import Session
from analyzer.model import SEVERITIES

HELP: Final = {
    "nanalyze_last_step": "Highest step of any metric.",
    "nanalyze_records": "Records of the longest metric.",
    "nanalyze_findings": "Findings that stand, by rule and severity.",
    "nanalyze_lag_bytes": "Bytes that were written and not read yet.",
    "nanalyze_silence_seconds": "Seconds since the last record.",
    "nanalyze_size_bytes": "Bytes of the run's files.",
}


class Listener:
    """An HTTP server that answers `/metrics` with the text that was published last."""

    def __init__(self, address: str) -> None:
        """Raises UsageError where the address is none or cannot be listened on."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"--listen {address}: give an address and a port, such as 127.0.0.1:9464.")
        self.text = ""
        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), self._handler())
        except (OSError, OverflowError) as error:
            raise UsageError(f"--listen {address} cannot be listened on ({error}).") from None
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True, name="nanalyze-metrics").start()

    def publish(self, sessions: Sequence[Session], now: float) -> None:
        """Takes over the numbers of the runs as they stand."""
        self.text = exposition(sessions, now)

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_known = self.path in ("/metrics", "/")
                text = listener.text.encode() if is_known else b"see /metrics\n"
                self.send_response(200 if is_known else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing: standard error is the watcher's."""

        return Handler


def exposition(sessions: Sequence[Session], now: float) -> str:
    """The text that Prometheus reads, version 0.0.4."""
    rows: dict[str, list[str]] = {name: [] for name in HELP}
    for session in sessions:
        run = _label(session.root)
        if session.run is not None and session.run.last_step is not None:
            rows["nanalyze_last_step"].append(f'{{run="{run}"}} {session.run.last_step}')
        rows["nanalyze_records"].append(f'{{run="{run}"}} {session.records}')
        rows["nanalyze_lag_bytes"].append(f'{{run="{run}"}} {session.follower.behind}')
        rows["nanalyze_size_bytes"].append(f'{{run="{run}"}} {session.follower.size}')
        rows["nanalyze_silence_seconds"].append(f'{{run="{run}"}} {session.rhythm.silence(now):.1f}')
        counts = Counter((entry.finding.severity, entry.finding.rule) for entry in session.ledger.standing)
        for (severity, rule), count in sorted(counts.items()):
            rows["nanalyze_findings"].append(f'{{run="{run}",rule="{rule}",severity="{severity}"}} {count}')
        for severity in SEVERITIES:
            if not any(known == severity for known, _ in counts):
                rows["nanalyze_findings"].append(f'{{run="{run}",rule="",severity="{severity}"}} 0')
    return "".join(
        f"# HELP {name} {HELP[name]}\n# TYPE {name} gauge\n" + "".join(f"{name}{row}\n" for row in found)
        for name, found in rows.items()
    )


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
