"""What a run says of the code and the machine it ran with."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch",
    "transformers",
    "openvino",
    "qdrant-edge-py",
    "qdrant-client",
    "tokenizers",
    "ir-measures",
)


def code_facts() -> dict[str, Any]:
    """Versions of what computed the figures, and a digest of our own source files."""
    return {
        "ragwright": _version("ragwright"),
        "digest": _source_digest(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
    }


def machine_facts() -> dict[str, Any]:
    """Processor, cores and memory in gigabytes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "system": platform.platform(),
    }


def processor() -> str:
    """The processor's name, and whether it computes bf16 natively."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    lines = (line for line in text.splitlines() if line.startswith("model name"))
    name = next(lines, "").partition(":")[2].strip()
    return name + (" (native bf16)" if "avx512_bf16" in text or "amx_bf16" in text else "")


def peak_megabytes() -> float:
    """Largest resident memory of this process so far; that of the largest child, if it is larger."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes here
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return round(max(resource.getrusage(each).ru_maxrss for each in who) / unit, 1)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _source_digest() -> str:
    """Names the Python files of every stage, wherever they are installed."""
    import ragwright

    digest = hashlib.sha256()
    for root in sorted(ragwright.__path__):
        for path in sorted(Path(root).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
