"""What a run says of code and machine."""

from __future__ import annotations

import re

from ragwright.eval.machine import code_facts, machine_facts, peak_megabytes


def test_facts_name_the_code_by_its_content_and_the_machine_by_its_parts() -> None:
    code, machine = code_facts(), machine_facts()
    assert re.fullmatch("[0-9a-f]{16}", code["digest"])
    assert code == code_facts()
    assert code["torch"] != "absent"
    assert machine["cores"] >= 1
    assert machine["memory_gb"] > 0
    assert peak_megabytes() > 10
