# Install the built wheel into an environment of its own, and use it away from the checkout.
set -eu
root=$(pwd)
rm -rf build/wheel
"$root/.venv/bin/python" -m venv build/wheel
build/wheel/bin/python -m pip install --quiet --no-deps dist/ragwright-*.whl
# The dependencies are the checkout's; its own .pth files are not read there, so its ragwright stays unseen.
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
.venv/bin/python -c "$purelib" > "$(build/wheel/bin/python -c "$purelib")/dependencies.pth"

outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
cd "$outside"
"$root/build/wheel/bin/python" - <<'PY'
import importlib.metadata
import pathlib

from importlib.resources import files

import ragwright.app.cli
import ragwright.eval.report
import ragwright.generation.extractive
import ragwright.ingest.pipeline
import ragwright.retrieval.search
from ragwright.core.profile import builtin_profiles

origin = pathlib.Path(ragwright.app.cli.__file__)
assert "build/wheel" in origin.as_posix(), f"imported from the checkout: {origin}"
assert {"general", "legal"} <= set(builtin_profiles()), "the domain profiles are not in the wheel"
assert (files("ragwright.eval") / "report_assets" / "report.css").is_file(), "the report's style is missing"
assert (files("ragwright.app.serve") / "page" / "main.js").is_file(), "the page is missing"
assert list((files("ragwright.generation") / "templates").iterdir()), "the prompt's templates are missing"
print("the wheel works:", importlib.metadata.version("ragwright"))
PY
printf 'The brake disc is replaced at 112 mm.\n' > note.txt
printf '{"question": "When is the brake disc replaced?", "references": [{"source": "note.txt"}]}\n' > questions.jsonl
export RAGWRIGHT_ENCODER__CACHE="$root/build/demo/.ragwright/models"
"$root/build/wheel/bin/ragwright" ingest note.txt
"$root/build/wheel/bin/ragwright" eval run questions.jsonl --quiet
