"""What is said of mounted servers, and to people who confirm a call through another program; English and Chinese."""

from __future__ import annotations

MCP: dict[str, tuple[str, str]] = {
    "mcp_none": ("no server is mounted: `agentos mcp add`", "没有挂载的服务器：`agentos mcp add`"),
    "mcp_trusted": ("[believed where it only reads]", "[信任其只读声明]"),
    "mcp_removed": ("{0} is removed, and its {1} tool(s) with it", "已移除 {0} 及其 {1} 个工具"),
    "mcp_refused": ("  not taken in: {0}: {1}", "  未采用：{0}：{1}"),
    "mcp_asks": (
        "agentos asks before it runs this. Accept runs it once; decline does not run it.",
        "agentos 在执行前需要你确认。接受则执行一次；拒绝则不执行。",
    ),
    "mcp_waits": (
        "{0} was not run: {1}. It waits for a person, who answers with `agentos approve {2}` or `agentos refuse {2}`;"
        " once approved it runs by itself.",
        "{0} 没有执行：{1}。正等待人工确认：`agentos approve {2}` 批准，`agentos refuse {2}` 拒绝；批准后自行执行。",
    ),
    "mcp_closed": (
        "This question is no longer open. `agentos approvals` lists what still waits for a person.",
        "这个问题已经失效。`agentos approvals` 列出仍在等待确认的调用。",
    ),
}
