"""What a scan writes: Parquet that joins, JUnit, SARIF, what the fleet says, URLs in and out, and how far it is."""

from __future__ import annotations

import io
import json
import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.batch import fleet, junit, overview, sarif
from analyzer.batch.card import Card, Found, Why
from analyzer.batch.progress import Progress
from analyzer.batch.tables import TABLES
from tests.samples import ROOT
from tests.test_cli import analyze
from tests.test_scan_cache import RUNS, make

OOM = Found("oom-cuda", "critical", "high", "GPU 0 is out of memory", 40, 40, "/x/run.log", 812, "CUDA out of memory")
INFO = Found("incomplete", "info", "high", "the log ends early", 40, 40, "/x/run.log", 900, "")


def card(root: str, verdict: str = "healthy", cause: str = "", **settings: str) -> Card:
    found = (OOM,) if verdict == "failed" else ()
    whys = (Why(cause, f"title of {cause}", "likely", 4.0),) if cause else ()
    return Card(root, verdict, "crashed", 40, 100, found, whys, 0 if found else -1, settings, begin=1.7e9, end=1.7e9 + 60)


FLEET = [
    *(card(f"bad-{i}", "failed", "overlap", deepspeed="0.14.0", torch="2.4.0", stage=str(i % 2)) for i in range(6)),
    *(card(f"good-{i}", deepspeed="0.16.9", torch="2.4.0", stage=str(i % 2)) for i in range(8)),
]


def test_parquet_tables_join_on_the_run(tmp_path: Path) -> None:
    import polars as pl

    done = analyze("scan", make(tmp_path / "tree"), "--parquet", tmp_path / "out", "--cache", "off")
    assert done.returncode == 0, done.stderr
    tables = {name: pl.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("runs", "findings", "causes", "metrics")}
    assert sorted(tables["runs"]["verdict"]) == ["failed", "failed", "healthy"]
    assert set(tables["findings"]["run"]) <= set(tables["runs"]["run"])
    worst = tables["findings"].filter(pl.col("severity") == "critical").join(tables["runs"], on="run")
    assert "oom-cuda" in set(worst["rule"])
    nan = tables["metrics"].filter(pl.col("run").str.contains(RUNS[0]), pl.col("metric") == "loss")
    assert nan.height > 20
    assert nan["step"].dtype == pl.Int64
    assert sorted(os.listdir(tmp_path / "out")) == ["causes.parquet", "findings.parquet", "metrics.parquet", "runs.parquet"]
    assert analyze("scan", tmp_path / "tree", "--parquet", tmp_path / "one.parquet", "--cache", "off").returncode == 0
    assert pl.read_parquet(tmp_path / "one.parquet").equals(tables["findings"])
    assert pl.read_parquet(tmp_path / "one.metrics.parquet").equals(tables["metrics"])


def test_tables_that_do_not_fit_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzer.batch import tables
    from analyzer.errors import UsageError
    from tests.test_scan_cache import limited

    monkeypatch.setattr(tables, "PART", 1)
    made = tables.Tables(tmp_path / "out")
    (tmp_path / "out" / os.listdir(tmp_path / "out")[0]).rmdir()
    with pytest.raises(UsageError, match="choose another place for the tables"):
        made.add(FLEET[0], {})
    done = limited(["scan", make(tmp_path / "tree"), "--parquet", tmp_path / "tables", "--cache", "off"], 1024)
    assert done.returncode == 2
    assert done.stderr.startswith("analyze: ")
    assert list((tmp_path / "tables").iterdir()) == []


SECRET = "hf_abcdefghijklmnopqrstuvwxyzABCDEF"


def test_every_form_of_a_batch_is_redacted(tmp_path: Path) -> None:
    import polars as pl

    place = tmp_path / "home" / "zebulon" / "a"
    place.mkdir(parents=True)
    records = [
        f"{{'loss': {2 - i / 50:.3f}, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': {i / 100}}}" for i in range(1, 40)
    ]
    crash = ["Traceback (most recent call last):", '  File "/home/zebulon/train.py", line 5, in <module>', "    main()",
             f"RuntimeError: zebulon@gpu-17: cannot push with {SECRET}"]  # fmt: skip
    (place / "run.log").write_text("\n".join([*records, *crash, ""]))
    outputs = {"--junit": "j.xml", "--sarif": "s.json", "--code-quality": "q.json", "--parquet": "tables"}
    asked = [part for option, name in outputs.items() for part in (option, tmp_path / name)]
    assert analyze("scan", tmp_path / "home", *asked, "--cache", "off").returncode == 0
    texts = [(tmp_path / name).read_text("utf-8") for name in ("j.xml", "s.json", "q.json")]
    texts += [str(pl.read_parquet(table).rows()) for table in (tmp_path / "tables").iterdir()]
    assert not [text for text in texts if "zebulon" in text or "gpu-17" in text or SECRET in text]
    assert sum("RuntimeError" in text for text in texts) == 4
    analyze("scan", tmp_path / "home", "--junit", tmp_path / "j.xml", "--cache", "off", "--no-redact")
    assert SECRET in (tmp_path / "j.xml").read_text("utf-8")


def test_parquet_holds_every_sample_of_a_long_run_from_the_cache_too(tmp_path: Path) -> None:
    import polars as pl

    lines = (f"{{'loss': {'nan' if i in (2000, 2001, 2005) else 1 + i % 7}, 'learning_rate': 1e-05}}" for i in range(1, 4001))
    (tmp_path / "run.log").write_text("\n".join([*lines, ""]))
    for _ in range(2):
        done = analyze("scan", tmp_path / "run.log", "--parquet", tmp_path / "out", "--cache", tmp_path / "cache.db")
        assert done.returncode == 0, done.stderr
        loss = pl.read_parquet(tmp_path / "out" / "metrics.parquet").filter(pl.col("metric") == "loss")
        assert loss.height == 4000 and loss["value"].is_nan().sum() == 3


def test_parquet_from_the_cache_is_the_same(tmp_path: Path) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    for name in ("a", "b"):
        assert analyze("scan", root, "--parquet", tmp_path / name, "--cache", cache).returncode == 0
    for table in ("runs", "findings", "causes", "metrics"):
        assert (tmp_path / "a" / f"{table}.parquet").read_bytes() == (tmp_path / "b" / f"{table}.parquet").read_bytes()


def test_junit_has_a_test_a_run() -> None:
    cards = [
        card("a", "failed", "overlap"),
        card("b"),
        Card("c & d", "unjudged", error="no <permission>\x07"),
        Card("e", "unjudged"),
    ]
    root = ET.fromstring(junit.render(cards, "never"))
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    cases = {one.get("name"): one for one in root.iter("testcase")}
    failure = cases["a"].find("failure")
    assert failure is not None
    assert failure.get("type") == "oom-cuda"
    assert "/x/run.log:812" in (failure.text or "")
    assert "overlap" in (failure.text or "")
    assert len(cases["b"]) == 0
    assert cases["c & d"].find("error") is not None


def test_sarif_points_at_file_and_line() -> None:
    log = json.loads(sarif.render([card("a", "failed", "overlap"), Card("b", "unjudged", error="binary")]))
    (run,) = log["runs"]
    (result,) = run["results"]
    assert log["version"] == "2.1.0"
    assert result["ruleId"] == "oom-cuda"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///x/run.log"
    assert place["region"]["startLine"] == 812
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "oom-cuda"
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "binary"


def test_the_fleet_names_the_setting_that_separates_failed_from_healthy() -> None:
    first = fleet.separators(FLEET)[0]
    assert (first.name, first.value, first.failed, first.total, first.other_failed, first.other_total) == (
        "deepspeed", "0.14.0", 6, 6, 0, 8,
    )  # fmt: skip
    assert {one.name for one in fleet.separators(FLEET)} == {"deepspeed"}
    assert fleet.separators(FLEET[:2] + FLEET[6:8]) == ()


def test_clusters_have_what_all_their_runs_share_and_when_they_were_seen() -> None:
    (cluster,) = fleet.clusters(FLEET)
    assert cluster.name == "overlap"
    assert len(cluster.runs) == 6
    assert cluster.shared == {"deepspeed": "0.14.0", "torch": "2.4.0"}
    assert (cluster.begin, cluster.end) == (1.7e9, 1.7e9 + 60)
    assert "first seen 2023-11-14 22:13" in fleet.sentences(FLEET)[0]


def test_nodes_that_fail_more_than_once_are_named() -> None:
    cards = [replace(card(f"bad-{i}", "failed"), places=("node gpu07",)) for i in range(3)] + [card("good")]
    assert fleet.places(cards) == (("node gpu07", 3),)
    assert any("node gpu07: 3 runs failed there" in line for line in overview.lines(cards))


def test_progress_is_a_bar_on_a_terminal_and_plain_lines_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    for stream, expected in ((Terminal(), "\r\x1b[K[##"), (io.StringIO(), "1/10 runs, 4 known")):
        progress = Progress(10, known=4, stream=stream)
        progress.pass_known()
        for _ in range(9):
            progress.add(failed=1)
        progress.close()
        assert expected in stream.getvalue()
        assert " s left" in stream.getvalue()
        assert ("\x1b" in stream.getvalue()) == stream.isatty()


def test_runs_in_another_file_system_are_judged_there_and_pages_go_up(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    from analyzer.diagnosis import Options
    from analyzer.scan import Batch, Extras, batch, find

    root = make(tmp_path / "tree")
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/experiments", recursive=True)
    extras = Extras(cache=str(tmp_path / "cache.db"), html="memory://pages", output="memory://out/runs.jsonl")
    runs = find(["memory://experiments"], extras)
    assert [run.root.rsplit("/", 1)[-1] for run in runs] == sorted(RUNS)
    job = Batch(runs, "jsonl", None, None, "never", Options(), False, "en", 1, extras)
    assert batch(job) == 0
    lines = memory.cat("/out/runs.jsonl").decode().splitlines()
    documents = [json.loads(line) for line in lines]
    assert [one["run"]["verdict"] for one in documents] == ["healthy", "failed", "failed"]
    assert all(file.startswith("memory://experiments/") for one in documents for file in one["run"]["files"])
    assert all(e["file"].startswith("memory://") for one in documents for f in one["findings"] for e in f["evidence"])
    assert "/tmp" not in "".join(json.dumps([f["evidence"] for f in one["findings"]]) for one in documents)
    assert memory.exists("/pages/index.html")
    assert len(memory.glob("/pages/*.html")) == 4


def test_patterns_and_times_hold_for_urls(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    from analyzer.scan import Extras, find

    memory = fsspec.filesystem("memory")
    memory.put(str(make(tmp_path / "tree")), "/chosen", recursive=True)
    memory.pipe("/chosen/sweep-00/.nanalyzeignore", b"oom-*\n")
    memory.pipe("/chosen/venv/run.log", b"{'loss': 1.0}\n")

    def names(**wishes: object) -> list[str]:
        return [run.root.rsplit("/", 1)[-1] for run in find(["memory://chosen"], Extras(**wishes))]  # type: ignore[arg-type]

    assert names() == sorted(RUNS[:2])
    assert names(exclude=("nanfrom-*",)) == [RUNS[1]]
    assert names(include=("**/nanfrom-*/**",)) == [RUNS[0]]
    assert names(since="1h") == sorted(RUNS[:2])
    assert names(since="2999-01-01") == []


def test_runs_on_an_s3_server(tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
                       "AWS_ENDPOINT_URL": f"http://{host}:{port}", "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}"}  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            import s3fs

            s3 = s3fs.S3FileSystem(key="test", secret="test", endpoint_url=environment["AWS_ENDPOINT_URL"])
            s3.mkdir("lab")
            s3.put(str(make(tmp_path / "tree")), "lab/experiments", recursive=True)
            cache = tmp_path / "cache.db"
            done = analyze("scan", "s3://lab/experiments", "--cache", cache, "--parquet", "s3://lab/tables")
            assert done.returncode == 0, done.stderr
            assert "3 runs: 2 failed, 1 healthy" in done.stdout
            assert s3.exists("lab/tables/findings.parquet")
            again = analyze("scan", "s3://lab/experiments", "--cache", cache)
            assert again.stdout == done.stdout
            wrong = analyze("scan", "s3://nowhere/at-all", "--cache", "off")
            assert wrong.returncode in (2, 3)
            assert wrong.stderr.startswith("analyze: ")
    finally:
        server.stop()


def test_the_examples_of_the_page_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import re

    page = (ROOT / "docs" / "how-to" / "batch.md").read_text("utf-8")
    assert analyze("scan", make(tmp_path / "tree"), "--parquet", tmp_path / "tables", "--cache", "off").returncode == 0
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        told: dict[str, object] = {}
        exec(code, told)
        assert any(getattr(value, "height", 0) for value in told.values())
    duckdb = pytest.importorskip("duckdb")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) == 2
    assert all(duckdb.sql(query).fetchall() for query in queries)


def test_the_page_lists_every_column_of_every_table() -> None:
    page = (ROOT / "docs" / "how-to" / "batch.md").read_text("utf-8")
    for columns in TABLES.values():
        for column in columns:
            assert column in page
