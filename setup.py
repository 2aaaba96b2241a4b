"""Build the one extension module, objstore._core. Everything else about the package is in pyproject.toml.

Set OBJSTORE_DEBUG=1 for a build with assertions and without optimisation.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("OBJSTORE_DEBUG") == "1"

core = Extension(
    "objstore._core",
    sources=["objstore/_core.pyx"],
    depends=sorted(glob("objstore/_core/*.p[yx][xd]")),
    define_macros=[("OBJSTORE_DEBUG", "1")] if DEBUG else [],
    extra_compile_args=["-pthread", "-fvisibility=hidden", *(["-O0", "-g"] if DEBUG else ["-O3"])],
    extra_link_args=["-pthread", "-ldl"],
)

setup(ext_modules=cythonize([core], build_dir="build/cython"))
