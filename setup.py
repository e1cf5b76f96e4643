"""All metadata stands in setup.cfg; this file lets old versions of pip install from it."""

from setuptools import setup

setup()
