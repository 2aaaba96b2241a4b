"""Build the one extension module, objstore._core. Everything else about the package is in pyproject.toml.

Set OBJSTORE_DEBUG=1 for a build with assertions and without optimisation. OBJSTORE_SANITIZE=address or =thread makes
one with gcc's sanitizers, which ci/sanitize can load. In both an allocation can be made to fail.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("OBJSTORE_DEBUG") == "1"
SANITIZERS = {"address": ["-fsanitize=address,undefined"], "thread": ["-fsanitize=thread"]}
sanitize = SANITIZERS.get(os.environ.get("OBJSTORE_SANITIZE", ""), [])

MACROS = {"OBJSTORE_DEBUG": DEBUG, "OBJSTORE_FAILING": DEBUG or sanitize}

if DEBUG:
    optimize = ["-O0", "-g"]
elif sanitize:
    optimize = ["-O1", "-g", "-fno-omit-frame-pointer"]
else:
    optimize = ["-O3"]

core = Extension(
    "objstore._core",
    sources=["objstore/_core.pyx"],
    depends=sorted(glob("objstore/_core/*.p[yx][xd]") + glob("objstore/_core/*.h")),
    include_dirs=["objstore/_core"],
    define_macros=[(name, "1") for name, wanted in MACROS.items() if wanted],
    extra_compile_args=["-pthread", "-fvisibility=hidden", *optimize, *sanitize],
    extra_link_args=["-pthread", "-ldl", *sanitize],
)

setup(ext_modules=cythonize([core], build_dir="build/cython"))
