"""`selab schema`: JSON Schemas of the files that users write, generated from the models that read them."""

from __future__ import annotations

import json

import click
from pydantic import BaseModel

from selab.matrix.model import Matrix
from selab.policy.udica_policy import UdicaPolicy
from selab.project import ProjectConfig
from selab.scenario.model import Scenario

MODELS: dict[str, type[BaseModel]] = {
    "project": ProjectConfig,
    "scenario": Scenario,
    "matrix": Matrix,
    "udica": UdicaPolicy,
}


def schema_text(kind: str) -> str:
    """Return the JSON Schema (2020-12) of a file of the `kind`, one of MODELS."""
    made = MODELS[kind].model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **made}, indent=2) + "\n"


@click.command()
@click.argument("kind", type=click.Choice([*MODELS]))
def schema(kind: str) -> None:
    """Print the JSON Schema of selab.yaml (`project`), a scenario, a matrix or a UdicaPolicy (`udica`), for
    editors that check YAML.

    \b
    Example:  selab schema scenario
    """
    click.echo(schema_text(kind), nl=False)
