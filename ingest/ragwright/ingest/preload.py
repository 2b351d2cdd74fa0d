"""Imported by the fork server, never by name elsewhere: what is loaded here, no child has to load again.

The one module that does something when it is imported, because a fork server can only be told what to import.
"""

import os

from ragwright.ingest import office

# In a child with one core's time these threads only cost address space, which is limited.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
for part in ("html", "docx", "pptx"):
    office.unstructured_part(part)
