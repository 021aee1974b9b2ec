"""Event files: scalars per CPU-second, ours beside TensorBoard's two readers, and the memory of a big file.

    python benchmarks/tfevents.py                # 1 M scalars in a regular and in a random order, 10 M for memory
    python benchmarks/tfevents.py --points 200000 --no-memory

Each reader runs in a process of its own; CPU time is user + system of that process and, for `tensorboard-data-server`,
of the server and the gRPC client together. The best of three runs of each counts. Ours checks the CRC of every record,
as EventAccumulator does.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import numpy as np

TAGS = (
    "train/loss",
    "train/grad_norm",
    "train/learning_rate",
    "train/epoch",
    *(f"train/layer_{i:02d}/act_norm" for i in range(16)),
)
NAME = "events.out.tfevents.1700000000.node.1.0"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _record(payload: bytes) -> bytes:
    from parsers.tfevents_crc import crc32c, masked

    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked(crc32c(head))) + payload + struct.pack("<I", masked(crc32c(payload)))


def _rows(tag: str, steps: np.ndarray, seed: int) -> np.ndarray:
    """Records of one tag as torch's `add_scalar` writes them, one a row; all steps have varints of one width."""
    import numpy as np

    from parsers.tfevents_numpy import distances

    rng = np.random.default_rng(seed)
    name, width = tag.encode(), len(_varint(int(steps[0])))
    value = b"\x0a" + _varint(len(name)) + name + b"\x15\0\0\0\0"
    summary = b"\x0a" + _varint(len(value)) + value
    payload = b"\x09" + bytes(8) + b"\x10" + bytes(width) + b"\x2a" + _varint(len(summary)) + summary
    rows = np.tile(np.frombuffer(_record(payload), np.uint8), (len(steps), 1))
    rows[:, 13:21] = (1.7e9 + steps + rng.random(len(steps)) * 1e-3).astype("<f8").view(np.uint8).reshape(-1, 8)
    for place in range(width):
        rows[:, 22 + place] = (steps >> 7 * place & 127) | (128 if place < width - 1 else 0)
    values = (2.5 * np.exp(-steps / 1e5) + rng.random(len(steps)) * 0.1).astype("<f4")
    values[(steps > 1000) & (steps % 9973 == 0)] = np.nan
    rows[:, -8:-4] = values.view(np.uint8).reshape(-1, 4)
    size = len(payload)
    crc = np.full(len(steps), 0xFFFFFFFF, np.uint32)
    table = distances(size)[0]
    for column in range(size):
        crc = table[(crc ^ rows[:, 12 + column]) & 255] ^ crc >> 8
    crc ^= np.uint32(0xFFFFFFFF)
    masked = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(0xA282EAD8)
    rows[:, -4:] = masked.astype("<u4").view(np.uint8).reshape(-1, 4)
    return rows


def write(path: Path, points: int, is_random: bool = False) -> None:
    """An event file of `points` scalars under 20 tags, all tags at each step, in the same or in a random order."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(_record(b"\x09" + struct.pack("<d", 1.7e9) + b"\x1a\x0dbrain.Event:2"))
        last, step = -(-points // len(TAGS)), 1
        while step <= last:
            until = min(last, (1 << 7 * len(_varint(step))) - 1, step + 20_000)
            blocks = [_rows(tag, np.arange(step, until + 1), i) for i, tag in enumerate(TAGS)]
            if is_random:
                shuffle = random.Random(step).shuffle
                for rows in zip(*blocks, strict=True):
                    records = [row.tobytes() for row in rows]
                    shuffle(records)
                    file.write(b"".join(records))
            else:
                file.write(np.concatenate(blocks, axis=1).tobytes())
            step = until + 1


def _points(path: str) -> int:
    """How many points `write` put into a file: its name's folder says so."""
    return int(Path(path).parent.name.rpartition("-")[2])


def ours(path: str) -> int:
    """Scalars that we read."""
    from parsers.tfevents import decode

    return sum(len(column) for column in decode(path).scalars.values())


def accumulator(path: str) -> int:
    """Scalars that EventAccumulator reads, nothing thinned out."""
    from tensorboard.backend.event_processing.event_accumulator import STORE_EVERYTHING_SIZE_GUIDANCE, EventAccumulator

    found = EventAccumulator(path, STORE_EVERYTHING_SIZE_GUIDANCE).Reload()
    return sum(len(found.Scalars(tag)) for tag in found.Tags()["scalars"])


def data_server(path: str) -> int:
    """Scalars that come from TensorBoard's data server over gRPC, nothing thinned out."""
    import grpc
    import tensorboard_data_server
    from tensorboard.context import RequestContext
    from tensorboard.data import grpc_provider
    from tensorboard.data.provider import RunTagFilter

    folder = Path(path).parent
    port_file = folder / "port"
    command = [
        tensorboard_data_server.server_binary(), f"--logdir={folder}", "--reload=once", "--port=0",
        f"--port-file={port_file}", "--samples-per-plugin=scalars=1000000000", "--die-after-stdin",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        while not (port_file.exists() and port_file.read_text().strip()):
            time.sleep(0.01)
        limit = [("grpc.max_receive_message_length", 2**31 - 1)]
        channel = grpc.insecure_channel(f"localhost:{port_file.read_text().strip()}", options=limit)
        stub = grpc_provider.make_stub(channel)
        provider = grpc_provider.GrpcDataProvider(str(folder), stub)
        wanted, total = (Path(path).stat().st_size // 70), 0  # no record of ours is longer: a lower bound of what must come
        for _ in range(60):  # it loads in the background and says nowhere when it is done
            time.sleep(1.0)
            listed = provider.list_scalars(RequestContext(), experiment_id="", plugin_name="scalars")
            if len([1 for run in listed.values() for _ in run]) < len(TAGS):
                continue
            read = provider.read_scalars(
                RequestContext(), experiment_id="", plugin_name="scalars", downsample=1_000_000_000, run_tag_filter=RunTagFilter()
            )
            before, total = total, sum(len(points) for run in read.values() for points in run.values())
            if total >= wanted and total in (before, _points(path)):
                break
        port_file.unlink()
        assert server.stdin
        server.stdin.close()
    return total


READERS = {"ours": ours, "EventAccumulator": accumulator, "tensorboard-data-server": data_server}


def _anonymous() -> int:
    """Bytes of this process that belong to no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def child(reader: str, path: str) -> None:
    """Runs one reader and prints what it took as JSON."""
    peak = [_anonymous()]

    def sample() -> None:
        while True:
            peak[0] = max(peak[0], _anonymous())
            time.sleep(0.02)

    if reader == "ours":
        threading.Thread(target=sample, daemon=True).start()
    small = Path(path).parent.parent / f"small-{reader}-20000" / NAME
    write(small, 20_000)
    READERS[reader](str(small))  # imports are not what is compared
    warm = resource.getrusage(resource.RUSAGE_CHILDREN)
    before = resource.getrusage(resource.RUSAGE_SELF)
    count = READERS[reader](path)
    seconds = -sum((before.ru_utime, before.ru_stime, warm.ru_utime, warm.ru_stime))
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        seconds += usage.ru_utime + usage.ru_stime
    print(json.dumps({"count": count, "seconds": seconds, "peak": max(peak[0], _anonymous())}))


def measure(reader: str, path: Path, runs: int) -> dict[str, Any]:
    """The best of `runs` runs of a reader."""
    results = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--child", reader, str(path)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        )
        if done.returncode:
            return {"count": 0, "seconds": float("nan"), "peak": 0, "error": done.stderr.strip().splitlines()[-1]}
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return min(results, key=lambda result: float(result["seconds"]))


def table(points: int, folder: Path, runs: int) -> None:
    """Prints the comparison: the best of `runs` runs of each."""
    print("| order | reader | scalars | CPU s | scalars per CPU-second | ours is faster by |\n|---|---|---|---|---|---|")
    for order in ("regular", "random"):
        path = folder / f"{order}-{points}" / NAME
        write(path, points, is_random=order == "random")
        best = measure("ours", path, runs)
        rate = best["count"] / best["seconds"]
        for reader in READERS:
            found = best if reader == "ours" else measure(reader, path, runs)
            if found.get("error"):
                print(f"| {order} | {reader} | – | – | {found['error']} | – |")
                continue
            speed = found["count"] / found["seconds"]
            print(
                f"| {order} | {reader} | {found['count']:,} | {found['seconds']:.2f} | {speed:,.0f} | {rate / speed:.1f}× |",
                flush=True,
            )


def memory(points: int, folder: Path) -> None:
    """Prints what a big file takes."""
    path = folder / f"big-{points}" / NAME
    write(path, points)
    found = measure("ours", path, 1)
    megabytes = found["peak"] / 2**20
    print(
        f"\n{found['count']:,} scalars ({path.stat().st_size / 2**20:,.0f} MiB): {found['seconds']:.1f} CPU s, "
        f"{found['count'] / found['seconds']:,.0f} a CPU-second, peak {megabytes:,.0f} MiB of memory beside the file's pages"
    )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3, help="runs of each reader, of which the best counts")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("READER", "PATH"))
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with tempfile.TemporaryDirectory() as name:
        table(options.points, Path(name), options.runs)
        if not options.no_memory:
            memory(options.memory, Path(name))


if __name__ == "__main__":
    main()
