"""A day's log, appended in pieces at 100 lines a second of simulated time: what watching it costs in CPU and memory.

python benchmarks/watch.py 2.0      # gigabytes

Every hundredth piece is ten lines alone, after which one look is timed: what it takes from ten new lines to the changed run
and what is said of it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from analyzer.live.session import Session
from parsers.discover import RunFiles

TICK = 0.2
PER_TICK = 20


def lines(first: int, pad: str) -> str:
    """Twenty lines: four records, four bars, twelve lines of no interest."""
    rows = []
    for line in range(first, first + PER_TICK):
        step = line // 5
        if line % 5 == 0:
            loss, norm = 1.5 + 2 / (1 + step / 3000) + random.gauss(0, 0.05), 1 + random.random()
            rows.append(f"{{'loss': {loss:.4f}, 'grad_norm': {norm:.4f}, 'learning_rate': 1e-04, 'epoch': {step / 2e5:.4f}}}")
        elif line % 5 == 1:
            rows.append(f"\r {step // 20000}%|####      | {step}/2000000 [00:10<20:00:00,  20.31it/s]")
        else:
            rows.append(f"[INFO] [worker.py:88] batch {line} of shard {line % 97} took {random.random():.4f} s {pad}")
    return "\n".join(rows) + "\n"


def main(gigabytes: float) -> None:
    """Prints CPU as a share of a core, growth of memory after the first minute, and what was said."""
    random.seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.log"
        session = Session(RunFiles(str(path), (str(path),)), 0.0)
        now, cpu, written, line, start, said, ticks = 0.0, 0.0, 0, 5, 0.0, 0, 0
        took: list[float] = []
        with path.open("ab", buffering=0) as file:
            while written < gigabytes * 1e9:
                text = lines(line, "x" * 180).encode()
                ticks += 1
                if ticks % 100 == 0:
                    head = b"".join(text.splitlines(keepends=True)[:10])
                    text = text[len(head) :]
                    written += file.write(head)
                    took.append(looked(session, now))
                written += file.write(text)
                line += PER_TICK
                now += TICK
                begun = time.process_time()
                said += len(session.look(now))
                cpu += time.process_time() - begun
                start = start or (resident() if now > 60 else 0.0)
        share, growth = 100 * cpu / now, resident() - start
        late = 1e3 * sorted(took)[len(took) * 99 // 100]
        print(f"ten new lines: p99 {late:.2f} ms of CPU; ", end="")
        print(f"{written / 1e9:.2f} GB, {now / 3600:.1f} h: {share:.2f} % of a core, {growth:+.0f} MB, {said} said")


def looked(session: Session, now: float) -> float:
    """CPU seconds from new lines in the file to what they change: rows in the run's tables, and the rules that are due."""
    begun = time.process_time()
    session.look(now)
    return time.process_time() - begun


def resident() -> float:
    """Megabytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.1)
