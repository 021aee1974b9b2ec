"""A message to a chat or a service: bodies as Slack, Feishu/Lark, DingTalk and WeCom expect them, else plain JSON.

The address is a secret (a chat's token stands in it): it is never printed and redirects are not followed.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from analyzer.errors import UsageError

Form = Literal["slack", "feishu", "dingtalk", "json"]

TRIES: Final = 4
WAITS: Final = (1.0, 3.0, 9.0)
"""Seconds before each further try."""
TIMEOUT: Final = 10.0
LONGEST: Final = 4096
"""Bytes of an answer that are read."""
_HOSTS: Final[Mapping[str, Form]] = {
    "hooks.slack.com": "slack", "open.feishu.cn": "feishu", "open.larksuite.com": "feishu", "oapi.dingtalk.com": "dingtalk",
    "qyapi.weixin.qq.com": "dingtalk",
}  # fmt: skip


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def check(url: str) -> str:
    """The host of an address. Raises UsageError for what is no http(s) address; the address itself is not repeated."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, urllib.parse.SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("--webhook needs an http:// or https:// address.")
    return host


def form_of(url: str, wish: str = "auto") -> Form:
    """The form of body that an address expects: as wished, else by its host, else plain JSON."""
    if wish in ("slack", "feishu", "dingtalk", "json"):
        return wish  # type: ignore[return-value]
    return _HOSTS.get(check(url), "json")


def body(form: Form, text: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a message."""
    if form == "slack":  # `<!channel>` would call everybody, `<address|words>` hide where a link leads
        return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    if form == "feishu":  # `<at user_id="all">` likewise, and nothing escapes it
        return {"msg_type": "text", "content": {"text": text.replace("<", "\u2039").replace(">", "\u203a")}}
    if form == "dingtalk":
        return {"msgtype": "text", "text": {"content": text}}
    return {"text": text, **details}


def send(url: str, message: Mapping[str, Any], sleep: Callable[[float], None] = time.sleep) -> str:
    """Posts a message, several times if need be; '' or why it did not arrive, without the address's secret part."""
    host = check(url)
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, json.dumps(message, ensure_ascii=False, allow_nan=False).encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(_NoRedirect)
    problem = ""
    for again in range(TRIES):
        if again:
            sleep(WAITS[again - 1])
        try:
            with opener.open(request, timeout=TIMEOUT) as answer:
                refused = _refusal(message, answer.read1(LONGEST))
            return f"{host} refused the message (code {refused})" if refused else ""
        except urllib.error.HTTPError as error:
            problem = f"{host} answered {error.code}"
            error.close()
            if error.code < 500 and error.code not in (408, 425, 429):
                break
        except (OSError, ValueError, http.client.HTTPException) as error:  # the last: what answered speaks no HTTP
            problem = f"{host} cannot be reached ({type(error).__name__})"
    return problem


def _refusal(message: Mapping[str, Any], answer: bytes) -> int:
    """The number with which Feishu (`code`), DingTalk and WeCom (`errcode`) refuse a message that they answer with 200."""
    name = "code" if "msg_type" in message else "errcode" if "msgtype" in message else ""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        return 0
    code = told.get(name) if isinstance(told, dict) else 0
    return code if isinstance(code, int) else 0
