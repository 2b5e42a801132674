"""What looks like a secret is recognised by whole words and by values with a password."""

from __future__ import annotations

import pytest

from selab.scaffold.secret import has_secret, is_secret_name, is_secret_value, refuse_secrets_within


@pytest.mark.parametrize(
    "name",
    [
        "MYSQL_PWD",
        "DB_DSN",
        "PGPASSWORD",
        "PGPASSFILE",
        "dbPassword",
        "apiToken",
        "SSH_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "db-passwd",
        "--password",
    ],
)
def test_a_name_with_a_word_for_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["KEYCLOAK_HOSTNAME", "MONKEY", "COMPASS_URL", "BYPASS", "TOKENIZER", "PWD", "OLDPWD", "KEYBOARD", ""],
)
def test_a_name_that_only_contains_the_letters(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://username:password@database/coder",
        "redis://:pw@cache",
        "root:hunter2@tcp(db:3306)/x",
        "user:pw@db:3306/x",
        "host=db password=x",
        "Server=db;Pwd=x",
        "jdbc:postgresql://db/x?password=y",
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_value_with_a_password(value: str) -> None:
    assert is_secret_value(value)


@pytest.mark.parametrize(
    "value",
    ["http://db:80/x", "me@example.org", "nginx:1.27@sha256:ab", "https://me@example.org/x", "a:b", ""],
)
def test_a_value_without_a_password(value: str) -> None:
    assert not is_secret_value(value)


@pytest.mark.parametrize(
    "argv",
    [["x", "--password=y"], ["redis-server", "--requirepass", "y", "--auth-token", "z"], ["x", "u://a:b@c"]],
)
def test_a_command_with_a_secret(argv: list[str]) -> None:
    assert has_secret(argv)


@pytest.mark.parametrize(
    "argv", [["nginx", "-g", "daemon off;"], ["x", "--password"], ["--key", "--x"], ["--sort=key", "x"], []]
)
def test_a_command_without_one(argv: list[str]) -> None:
    assert not has_secret(argv)


def test_a_secret_within_an_argument_is_refused() -> None:
    refuse_secrets_within(["sh", "-c", "curl localhost"])
    with pytest.raises(ValueError, match="secret"):
        refuse_secrets_within(["sh", "-c", "mysql --password=swordfish"])
