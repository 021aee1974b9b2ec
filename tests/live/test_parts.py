"""The parts of watching, in simulated time: ledger, patience, rhythm, pace, early signs, messages, stopping, the monitor."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
import types
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from analyzer.callbacks.monitor import CriticalFindingError, Monitor
from analyzer.errors import UsageError
from analyzer.live import last_word, stop, webhook
from analyzer.live.actions import Actions, Plan, words
from analyzer.live.early import early
from analyzer.live.ledger import Ledger
from analyzer.live.pace import Pace
from analyzer.live.policy import Policy
from analyzer.live.prometheus import HELP, exposition
from analyzer.live.rhythm import Rhythm
from analyzer.live.session import Session
from analyzer.model import Evidence, Finding
from parsers import SourceRef, read
from parsers.discover import RunFiles
from tests.samples import ROOT, samples


def finding(rule: str = "loss-zero", severity: Any = "critical", confidence: Any = "high") -> Finding:
    return Finding(rule, severity, confidence, "the loss is 0", (Evidence(SourceRef("run.log", 12)),), 41)


def test_a_finding_is_said_once_updated_and_withdrawn() -> None:
    ledger = Ledger()
    seen = [
        [(c.kind, c.finding.severity) for c in ledger.update(findings, early_, records)]
        for records, (findings, early_) in enumerate(
            [
                ([finding(severity="warning")], []),
                ([finding(severity="warning")], []),
                ([finding()], [finding("loss-zero", "warning", "low")]),
                ([], []),
                ([], [finding("scale-collapse", "warning", "low")]),
            ]
        )
    ]
    assert seen == [[("found", "warning")], [], [("updated", "critical")], [("withdrawn", "critical")], [("found", "warning")]]


def test_a_policy_waits_for_records_and_never_acts_on_early_signs() -> None:
    ledger = Ledger()
    ledger.update([finding()], [finding("scale-collapse", "critical", "low")], records=10)
    policy = Policy("critical", (), after=3)
    assert [[policy.wants(e, records) for e in ledger.standing] for records in (10, 12, 13)] == [
        [False, False],
        [False, False],
        [True, False],
    ]
    assert not any(Policy("critical", ("grad-nan",)).wants(e, 99) for e in ledger.standing)


def test_a_rhythm_knows_evaluations_and_tells_stalls() -> None:
    rhythm = Rhythm()
    now = 0.0
    for index in range(60):
        now += 40.0 if index % 20 == 19 else 1.0  # an evaluation every twenty records
        rhythm.beat(now)
    assert rhythm.usual == 1.0
    assert rhythm.stall(now + 100) is None
    assert rhythm.stall(now + 121) == 121


def test_judging_is_paid_from_a_small_share_and_signs_of_failure_may_overdraw_it() -> None:
    pace = Pace(0.0, share=0.01)
    pace.pay(2.5)
    assert not pace.allows(1.0)
    assert pace.allows(1.0, is_urgent=True)
    assert pace.allows(60.0)
    pace.pay(9.0)
    assert not pace.allows(61.0, is_urgent=True)


def scales(values: list[int]) -> str:
    row = "{'loss': 2.0, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
    skip = "[2024-05-01 12:00:00,000] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: %d, reducing to %d\n"
    return row * 30 + "".join(skip % (value, value // 2) for value in values)


def test_a_falling_scale_is_an_early_sign(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(scales([65536, 32768, 16384, 8192]))
    assert "overflow-streak" in {f.rule for f in early(read([log]))}
    log.write_text(scales([65536]))
    assert early(read([log])) == []


def test_a_rising_norm_is_an_early_sign(tmp_path: Path) -> None:
    row = "{'loss': 2.0, 'grad_norm': %s, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
    log = tmp_path / "run.log"
    log.write_text("".join(row % norm for norm in [1.0, 1.2, 0.9] * 10 + [2, 4, 8, 16, 33]))
    (sign,) = early(read([log]))
    assert (sign.rule, sign.confidence) == ("grad-explosion", "low")


def falling(step: int, scale: int) -> str:
    return f"[2024-05-01 12:00:00,000] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: {scale}, reducing to {scale // 2}\n"


def test_a_falling_scale_is_said_before_it_is_critical(tmp_path: Path) -> None:
    """One skip every tenth step, each halving the scale: an early sign first, the collapse itself at the minimum."""
    log, now, seen, scale = tmp_path / "run.log", 0.0, [], 2**16
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    session.clock = lambda: 0.0
    with log.open("a", buffering=1) as file:
        for step in range(1, 400):
            if step > 100 and step % 10 == 0 and scale > 1:
                file.write(falling(step, scale))
                scale //= 2
            file.write(f"{{'loss': 2.{step % 7}, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': {step / 1000}}}\n")
            now += 1.0
            seen += [(step, c.kind, c.is_early, c.finding) for c in session.look(now) if c.finding.rule == "scale-collapse"]
    (early_step, kind, is_early, sign), (late_step, *late) = seen[:2]
    assert (kind, is_early, sign.severity, sign.confidence) == ("found", True, "warning", "low")
    assert late[:2] == ["found", False]  # the sign is not withdrawn: it came true
    assert 120 <= early_step <= 150 < late_step - 50


def test_early_signs_that_come_true_are_not_withdrawn() -> None:
    ledger = Ledger()
    sign = finding("scale-collapse", "warning", "low")
    ledger.update([], [sign], 1)
    assert [(c.kind, c.is_early) for c in ledger.update([finding("scale-collapse")], [sign], 2)] == [("found", False)]
    ledger.update([], [sign], 3)
    assert [(c.kind, c.is_early) for c in ledger.update([], [], 4)] == [("withdrawn", True)]


def looked(log: Path, lines: list[str]) -> list[tuple[int, str, str]]:
    """What a session says, one line a look: the line's number, the kind of change, the rule."""
    now, said = 0.0, []
    session = Session(RunFiles(str(log), (str(log),)), now)
    session.clock = lambda: 0.0
    with log.open("a", buffering=1) as file:
        for number, line in enumerate(lines, 1):
            file.write(line)
            now += 1.0
            said += [(number, c.kind, c.finding.rule) for c in session.look(now)]
    return said


def test_a_launcher_that_starts_again_is_no_failure(tmp_path: Path) -> None:
    row = "{'loss': %.4f, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': %.2f}\n"
    lines = [row % (2.5 * 0.99**step, step / 100) for step in range(1, 60)]
    lines[20:20] = [
        "[2024-05-01 12:00:00,000] [ERROR] [launch.py:325:sigkill_handler] ['python', 'x.py'] exits with return code = 2\n"
    ]
    assert looked(tmp_path / "run.log", lines) == []


def test_a_silence_is_judged_once_and_a_crash_is_said_although_signs_came_before(tmp_path: Path) -> None:
    """Signs of failure take what may be lent; the message at the end is said a second after all the same."""
    log, now, clock, said = tmp_path / "run.log", 0.0, [0.0], []

    def cost() -> float:
        clock[0] += 0.2  # each judgement takes 0.2 s of CPU
        return clock[0]

    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    session.clock = cost
    row = "{'loss': %.4f, 'grad_norm': %s, 'learning_rate': 1e-05, 'epoch': %.2f}\n"
    with log.open("a", buffering=1) as file:
        for step in range(1, 80):
            file.write(row % (2.5 * 0.99**step, "nan" if step > 40 else "1.0", step / 100))
            now += 0.1
            session.look(now)
        file.write('Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: the data ends here\n')
        judged = clock[0]
        for _ in range(100):
            now += 0.1
            said += [(now, c.finding.rule) for c in session.look(now)]
    (moment,) = [moment for moment, rule in said if rule == "traceback"]
    assert moment - 7.9 < 2.5
    assert clock[0] - judged <= 1.0  # two or three judgements in ten seconds of silence


def test_prometheus_parses_what_it_is_told(tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    log = tmp_path / 'a "quoted" \\ name.log'
    session = Session(RunFiles(str(log), (str(log),)), 0.0)
    row = "{'loss': %s, 'grad_norm': %s, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
    log.write_text(row % (2.5, 1.0) * 80 + row % (0.0, "nan") * 3)
    session.look(1.0)
    families = list(parser.text_string_to_metric_families(exposition([session], 4.0)))
    samples_ = [sample for family in families for sample in family.samples]
    assert {family.name for family in families} == set(HELP)
    assert {family.type for family in families} == {"gauge"}
    values = {sample.name: sample.value for sample in samples_ if sample.labels["run"] == str(log)}
    assert (values["nanalyze_last_step"], values["nanalyze_lag_bytes"], values["nanalyze_silence_seconds"]) == (83, 0, 3)
    assert any(s.labels.get("rule") == "loss-zero" and s.labels["severity"] == "critical" and s.value == 1 for s in samples_)


@pytest.mark.parametrize("norm", ["0.0", "nan", "inf"])
def test_a_search_that_the_log_does_not_tell_of_is_no_finding(tmp_path: Path, norm: str) -> None:
    row = "{'loss': %.4f, 'grad_norm': %s, 'learning_rate': %s, 'epoch': %.2f}\n"
    lines = [row % (5.5 + step % 7 / 100, norm, "0.0", step / 100) for step in range(1, 21)]
    lines += [row % (5.5 * 0.98 ** (step - 20), "1.2", "1e-05", step / 100) for step in range(21, 60)]
    assert looked(tmp_path / "run.log", lines) == []


def test_a_gradient_that_is_zero_for_good_is_found_once_no_search_takes_so_long(tmp_path: Path) -> None:
    row = "{'loss': 5.5%d, 'grad_norm': 0.0, 'learning_rate': 1e-05, 'epoch': %.2f}\n"
    said = looked(tmp_path / "run.log", [row % (step % 7, step / 100) for step in range(1, 90)])
    (line,) = [number for number, kind, rule in said if (kind, rule) == ("found", "grad-zero")]
    assert 64 <= line <= 70


def test_a_loss_that_jumps_is_an_early_sign(tmp_path: Path) -> None:
    row = "{'loss': %s, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n"
    log = tmp_path / "run.log"
    log.write_text("".join(row % f"2.{step % 5}" for step in range(30)) + row % 71.5)
    (sign,) = early(read([log]))
    assert (sign.rule, sign.confidence, sign.first_step) == ("loss-spike", "low", 31)
    assert "jumped to 71.5" in sign.summary
    with log.open("a") as file:
        file.write(row % 40.5 + row % 55)  # records that came between two looks
    (sign,) = early(read([log]))
    assert (sign.first_step, sign.evidence[0].ref.line) == (31, 31)
    assert sign.summary.endswith("and stayed above 24 since")
    with log.open("a") as file:
        file.write(row % 2.2)
    assert early(read([log])) == []
    log.write_text("".join(row % f"0.00{step % 5 + 1}" for step in range(30)) + row % 0.5)
    assert early(read([log])) == []  # it hovers about 0


@pytest.mark.parametrize("longer", [1, 2])
def test_a_schedule_that_starts_again_is_no_finding_at_its_first_restart(tmp_path: Path, longer: int) -> None:
    row = "{'loss': %.4f, 'grad_norm': 1.0, 'learning_rate': %.3e, 'epoch': %.2f}\n"
    rates = [
        3e-3 * (1 + math.cos(math.pi * k / length)) / 2
        for cycle in range(3)
        for length in [20 * longer**cycle]
        for k in range(length)
    ]
    lines = [row % (2.5 * 0.995**k, rate, k / 100) for k, rate in enumerate(rates)]
    assert looked(tmp_path / "run.log", lines) == []


@pytest.mark.slow
def test_healthy_runs_are_silent_at_every_length(tmp_path: Path) -> None:
    said = []
    for sample in [s for s in samples() if s.is_healthy and s.log.is_file()][::6]:
        lines = sample.log.read_bytes().splitlines(keepends=True)
        log = tmp_path / f"{sample.id.replace('/', '-')}.log"
        now = 0.0
        session = Session(RunFiles(str(log), (str(log),)), now)
        session.clock = lambda: 0.0
        with log.open("ab", buffering=0) as file:
            for start in range(0, len(lines), 3):
                file.write(b"".join(lines[start : start + 3]))
                now += 1.0
                said += [(sample.id, start, c.kind, c.finding.rule, c.finding.severity) for c in session.look(now)]
        said += [(sample.id, -1, c.kind, c.finding.rule, c.finding.severity) for c in session.look(now, is_over=True)]
    assert said == []


@pytest.mark.parametrize(
    "after", [b"", b"\r 59%|###   | 88/150 [00:08<00:05, 10.61it/s]\n", b"[W1124 09:19:30] some thread says goodbye\n"]
)
def test_a_crash_is_said_a_second_after_its_last_line_whatever_follows(tmp_path: Path, after: bytes) -> None:
    log, now, said = tmp_path / "run.log", 0.0, []
    session = Session(RunFiles(str(log), (str(log),)), now)
    with log.open("ab", buffering=0) as file:
        for step in range(1, 89):
            file.write(b"\r %2d%%|###   | %d/150 [00:08<00:05, 10.61it/s]" % (step * 2 // 3, step))
            if step % 5 == 0:
                file.write(
                    b"\r%60s\r{'loss': %.4f, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n" % (b"", 3 * 0.99**step)
                )
            now += 0.1
            said += session.look(now)
        assert session.due(now) is not None
        file.write(b'[rank0]: Traceback (most recent call last):\n[rank0]:   File "a.py", line 1, in f\n[rank0]: KeyError: 1\n')
        said += session.look(now)
        file.write(after)
        assert said == []
        for _ in range(20):
            now += 0.1
            said += [(round(now - 8.8, 1), c.finding.rule) for c in session.look(now)]
    assert [rule for _, rule in said] == ["traceback"]
    assert said[0][0] <= 1.3
    assert session.due(now) is None


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.live.actions.COMMAND_TIMEOUT", 0.5)
    said: list[str] = []
    actions = Actions(Plan(command=("sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid; wait")), said.append)
    actions.tell(finding(), "run.log", lambda: "{}")
    actions.close()
    assert said == ["sh was ended after 0.5 s"]
    process = stop.Target(int((tmp_path / "pid").read_text()), False, "")
    assert not process.is_alive()
    with pytest.raises(UsageError, match="no such process"):
        for _ in range(100):  # until its new parent has taken notice
            stop.target(process.pid, False)
            time.sleep(0.05)


def test_what_is_gone_already_was_not_stopped_by_us() -> None:
    said: list[str] = []
    actions = Actions(Plan(target=stop.Target(2**22 + 1, False, "1"), is_armed=True), said.append)
    actions.stop(finding())
    actions.stop(finding())
    assert said == ["process 4194305 is gone already"]
    assert not actions.has_stopped


def test_what_could_not_be_judged_has_a_code_of_its_own() -> None:
    assert (last_word.code("quiet", [], "never"), last_word.code("missing", [], "never")) == (3, 3)


class Chat(BaseHTTPRequestHandler):
    answers: ClassVar[list[int]] = []
    bodies: ClassVar[list[dict[str, Any]]] = []
    told: ClassVar[bytes] = b""

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()
        self.wfile.write(self.told)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def chat() -> Any:
    Chat.answers, Chat.bodies, Chat.told = [], [], b""
    server = HTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/T000/secret-token"
    server.shutdown()


def test_messages_are_sent_again_until_they_arrive(chat: str) -> None:
    Chat.answers = [500, 429]
    waits: list[float] = []
    assert webhook.send(chat, webhook.body("slack", "lost", {}), waits.append) == ""
    assert Chat.bodies == [{"text": "lost"}] * 3
    assert waits == [1.0, 3.0]


@pytest.mark.parametrize("answer", [403, 302])
def test_a_refused_message_is_told_without_its_secret(chat: str, answer: int) -> None:
    Chat.answers = [answer]
    problem = webhook.send(chat, {"text": "x"}, lambda _: None)
    assert str(answer) in problem
    assert "secret" not in problem
    assert len(Chat.bodies) == 1


@pytest.mark.parametrize(
    ("form", "told", "problem"),
    [
        ("feishu", b'{"code": 19024, "msg": "Key Words Not Found"}', "code 19024"),
        ("dingtalk", b'{"errcode": 310000, "errmsg": "keywords not in content"}', "code 310000"),
        ("dingtalk", b'{"errcode": 0, "errmsg": "ok"}', ""),
        ("json", b'{"code": 200}', ""),
        ("feishu", b"[" * 4000, ""),
        ("feishu", b"\xff<html>", ""),
    ],
)
def test_chats_that_refuse_with_200_are_told(chat: str, form: Any, told: bytes, problem: str) -> None:
    Chat.told = told
    said = webhook.send(chat, webhook.body(form, "lost", {}), lambda _: None)
    assert said == (f"127.0.0.1 refused the message ({problem})" if problem else "")
    assert len(Chat.bodies) == 1


def test_what_speaks_no_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(webhook.TRIES):
                one, _address = server.accept()
                one.recv(65536)
                one.sendall(b"SSH-2.0-x\r\n")
                one.close()

        threading.Thread(target=answer, daemon=True).start()
        problem = webhook.send(f"http://127.0.0.1:{server.getsockname()[1]}/secret", {"text": "x"}, lambda _: None)
    assert problem == "127.0.0.1 cannot be reached (BadStatusLine)"


def test_bodies_are_what_the_chats_expect() -> None:
    assert webhook.form_of("https://open.feishu.cn/open-apis/bot/v2/hook/x") == "feishu"
    assert webhook.body("feishu", "t", {}) == {"msg_type": "text", "content": {"text": "t"}}
    assert webhook.body(webhook.form_of("https://oapi.dingtalk.com/robot/send?access_token=x"), "t", {}) == {
        "msgtype": "text",
        "text": {"content": "t"},
    }
    assert webhook.form_of("https://hooks.slack.com/services/T/B/x") == "slack"
    with pytest.raises(UsageError):
        webhook.form_of("ftp://example.org/x")


def test_a_finding_is_posted_redacted(chat: str) -> None:
    said: list[str] = []
    actions = Actions(Plan(webhook=chat), said.append)
    actions.tell(finding(), "/home/jane/runs/run.log", lambda: "")
    actions.close()
    assert Chat.bodies[0]["text"] == "[critical] loss-zero at step 41 in run.log: the loss is 0"
    assert Chat.bodies[0]["rule"] == "loss-zero"
    assert said == []


def test_a_command_sees_no_shell() -> None:
    assert words("notify --text 'it is $(lost)'") == ("notify", "--text", "it is $(lost)")


def test_a_number_given_to_another_process_is_never_signalled() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        other = stop.Target(process.pid, False, "1")
        assert not other.is_alive()
        said: list[str] = []
        assert stop.stop(other, 0.1, said.append)
        assert process.poll() is None
        with pytest.raises(UsageError):
            stop.target(os.getpid(), False)
    finally:
        process.kill()
        process.wait()


def fill(monitor: Monitor, steps: int, bad: int, pause: float = 0.002) -> int:
    for step in range(1, steps + 1):
        lost = bad and step >= bad
        monitor.log(
            {"loss": 0.0 if lost else 2 - step / steps, "grad_norm": math.nan if lost else 1.0, "learning_rate": 1e-4}, step
        )
        if monitor.should_stop:
            return step
        time.sleep(pause)
    return steps


def test_the_monitor_stops_a_lost_run_and_reports(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path, on_critical="stop", rank=0)
    monitor.begin({"lr": 1e-4}, {"zero_optimization": {"stage": 2}}, planned_steps=5000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert 20 <= fill(monitor, 5000, 20) < 5000
        diagnosis = monitor.end()
    assert diagnosis is not None
    assert diagnosis.verdict == "failed"
    assert diagnosis.findings[0].first_step == 20
    assert diagnosis.findings[0].evidence[0].ref.line == 21  # line 1 is the environment
    assert diagnosis.run.config["zero_optimization.stage"] == 2
    assert "python" in diagnosis.run.packages
    assert any("critical" in str(w.message) for w in caught)
    assert (tmp_path / "nanalyze.html").exists()


def test_the_monitor_raises_where_asked(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path, on_critical="raise", rank=0, report=False)
    with warnings.catch_warnings(), pytest.raises(CriticalFindingError, match=r"loss-zero|grad-nan"):
        warnings.simplefilter("ignore")
        fill(monitor, 5000, 20)
    diagnosis = monitor.end()  # was written before the error was raised
    assert diagnosis is not None
    assert diagnosis.verdict == "failed"


def test_a_training_that_crashes_leaves_its_report(tmp_path: Path) -> None:
    code = f"from analyzer.callbacks import Monitor\nm = Monitor({str(tmp_path)!r}, rank=0)\nm.log({{'loss': 2.0}}, 1)\nraise ValueError"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert (tmp_path / "nanalyze.html").exists()


def test_other_ranks_do_nothing(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path / "out", on_critical="raise", rank=1)
    assert fill(monitor, 50, 5, 0) == 50
    assert monitor.end() is None
    assert not (tmp_path / "out").exists()


def test_a_log_call_takes_less_than_a_millisecond(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path, rank=0, report=False)
    monitor.begin()
    took = []
    for step in range(1, 301):
        begun = time.thread_time()
        monitor.log({"loss": 2.0 - step / 300, "grad_norm": 1.0}, step)
        took.append(time.thread_time() - begun)
        time.sleep(0.001)
    monitor.end()
    assert sorted(took)[len(took) * 95 // 100] < 0.001


def test_what_the_disk_refuses_or_comes_after_the_end_harms_no_training(tmp_path: Path) -> None:
    monitor = Monitor(tmp_path, rank=0, report=False)
    monitor.begin()
    monitor._file = Path("/dev/full").open("w")  # type: ignore[assignment]  # noqa: SIM115
    with pytest.warns(UserWarning, match="cannot be written"):
        monitor.log({"loss": 2.0}, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.log({"loss": 1.0}, 2)
        diagnosis = monitor.end()
        monitor.log({"eval_loss": 1.0}, 2, "eval")  # `trainer.evaluate()` after `trainer.train()`
    assert diagnosis is not None
    assert diagnosis.run.last_step == 2


def test_the_trainers_callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("transformers")
    module.TrainerCallback = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", module)
    from analyzer.callbacks import TransformersCallback

    callback = TransformersCallback(on_critical="stop", folder=str(tmp_path))
    args = types.SimpleNamespace(
        output_dir=str(tmp_path), deepspeed=None, to_sanitized_dict=lambda: {"logging_steps": 1, "fp16": True}
    )
    state = types.SimpleNamespace(is_world_process_zero=True, max_steps=5000, global_step=0)
    control = types.SimpleNamespace(should_training_stop=False, should_log=True)
    took: list[float] = []
    callback.on_train_begin(args, state, control)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while not control.should_training_stop and state.global_step < 5000:
            state.global_step += 1
            lost = state.global_step >= 20
            begun = time.thread_time()
            callback.on_log(args, state, control, logs={"loss": 0.0 if lost else 2.0, "grad_norm": math.nan if lost else 1.0})
            took.append(time.thread_time() - begun)
            callback.on_step_end(args, state, control)
            time.sleep(0.002)
        callback.on_train_end(args, state, control)
    assert 20 <= state.global_step < 5000
    assert sorted(took)[len(took) * 9 // 10] < 0.001
    assert json.loads((tmp_path / "nanalyze.jsonl").read_text().splitlines()[0])["facts"]["arg:fp16"] is True
