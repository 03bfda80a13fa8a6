"""The page about the command line says what the command line says."""

from __future__ import annotations

import shlex

import pytest

from mlengine.cli.grammar import Parser
from tests.cli_reference import PAGE, page
from tests.unit.cli.test_line import COMMANDS

# The groups whose lines people copy from gcloud's own pages.
GCLOUDS = ("explain", "jobs", "local", "locations", "models", "operations", "predict", "versions")


def test_the_reference_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/reference"


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if command.words.split()[0] in GCLOUDS],
    ids=lambda command: command.words,
)
def test_every_example_is_a_line_of_its_command(command):
    words = shlex.split(command.example)
    depth = len(command.words.split())
    cut = words.index("--") if "--" in words else len(words)
    arguments = [word for word in words[depth:cut] if word != "--quiet"]

    assert words[:depth] == command.words.split()
    Parser(command).read(arguments, words[cut + 1 :] or None)
