"""`analyze mcp`: the tool for coding agents, over the Model Context Protocol on standard input and output.

Four tools, all of which only read: diagnose, explain, compare, audit. Needs the extra `mcp` (the official SDK).
Answers are Markdown or the result document, redacted like every shared form; nothing is sent anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, Literal, ParamSpec

from analyzer.errors import AnalyzerError, UsageError
from analyzer.version import VERSION

P = ParamSpec("P")

GUIDE: Final = """\
nanalyze finds out why a deep-learning training run died or went wrong. Call `diagnose` with the path of a log, an event
file or a run's folder. Findings name a rule, the first step and the line; causes carry a verdict (confirmed, likely,
possible) with what speaks for and against them. Say `possible` where it says so: run the experiment under `settle it`
before you change code. Facts that you know beside the log (`{"deepspeed": "0.14.0"}`) change the order of causes.
`explain` prints the page of any rule or cause id. `compare` tells a bad run from a good one. `audit` checks
requirements before a run. A run of which nothing was understood is `unjudged`, never healthy.
"""
Form = Literal["markdown", "json"]


def diagnose(path: str, facts: dict[str, str] | None = None, format: Form = "markdown") -> str:
    """Why did this training run die? `path`: a log, an event file, or the folder of one run.

    `facts`: what is known beside the log, e.g. {"deepspeed": "0.14.0", "overlap_comm": "true"}.
    `format`: markdown (short) or json (the whole result document).
    """
    from analyzer.api import diagnose as work

    found = work(path, facts=facts)
    return found.to_json() if format == "json" else found.to_markdown()


def explain(id: str) -> str:
    """The page of a rule or a cause, as findings and causes name them (e.g. loss-zero, cudnn-sdpa-seqlen-211)."""
    from analyzer.lists import page_of

    return page_of(id)


def compare(good: str, bad: str, format: Form = "markdown") -> str:
    """What differs between a good and a bad run (logs or folders): versions, arguments, where the curves part."""
    from analyzer.compare import compare as work
    from analyzer.compare import side
    from analyzer.diagnosis import Options
    from analyzer.output import comparison, comparison_document
    from analyzer.output.comparison import redacted

    clean, _ = redacted(work(side(good, Options()), side(bad, Options()), Options()))
    return comparison_document.dumps(clean) if format == "json" else comparison.render(clean, "markdown", "en")


def audit(path: str, project: str = "", format: Form = "markdown") -> str:
    """Before a run: the known causes that requirements, a lock file, a pip freeze or a ds_config are exposed to.

    `project`: compare with what a project recommends (mgm, llava, …).
    """
    from analyzer.audit import audit as work
    from analyzer.output import audit_report

    return audit_report.render(work((path,), (), project), format)


TOOLS: Final[tuple[Callable[..., str], ...]] = (diagnose, explain, compare, audit)


def server() -> Any:
    """The server, not yet started. Raises UsageError where the SDK is missing."""
    try:
        from mcp.server import MCPServer
        from mcp.types import ToolAnnotations
    except ImportError:
        raise UsageError("`analyze mcp` needs the MCP SDK: pip install 'nanalyze[mcp]'.") from None
    made = MCPServer("nanalyze", instructions=GUIDE, version=VERSION)
    hints: Mapping[str, bool] = {"readOnlyHint": True, "openWorldHint": False}
    for tool in TOOLS:
        made.tool(annotations=ToolAnnotations.model_validate(hints))(_answering(tool))
    return made


def _answering(tool: Callable[P, str]) -> Callable[P, str]:
    """The tool with our own errors as one sentence, which the agent sees."""
    from mcp.server.mcpserver.exceptions import ToolError

    from parsers import UnreadableError

    @wraps(tool)
    def answer(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return tool(*args, **kwargs)
        except (AnalyzerError, UnreadableError, ValueError) as error:
            raise ToolError(str(error)) from None

    return answer


def run() -> int:
    """Serves standard input and output until it is closed."""
    server().run("stdio")
    return 0
