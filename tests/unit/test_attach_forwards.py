"""What is said of an agent that gives no answer: one that is gone, and one that is there."""

import os

from gfattach.agent.model.state import AGENT, AgentState
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import forwards
from gfattach.core.process import ProcessId


def test_an_agent_that_runs_and_is_silent_is_not_said_to_have_ended(tmp_path):
    record = Attachment.begin("forward", agent=tmp_path)
    assert forwards.findings(record, None)["agent"].code == "agent.ended"
    own = ProcessId.of(os.getpid())
    AGENT.write_state(tmp_path, AgentState(own, tmp_path / "control.sock", None))  # type: ignore[arg-type]
    found = forwards.findings(record, None)["agent"]
    assert (found.code, found.failed, found.hints) == ("agent.hung", True, ("replace it: gfattach up",))
    assert found.seen == f"process {own.pid} holds the forwards and does not answer"
    AGENT.write_state(tmp_path, AgentState(ProcessId(own.pid, "another's"), tmp_path / "control.sock", None))
    assert forwards.findings(record, None)["agent"].code == "agent.ended"
