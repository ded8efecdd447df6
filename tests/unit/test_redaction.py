from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from agent.redaction import Redactor, names_a_secret
from agent.rpc.schema import METHODS
from agent.secret import MASK, Secret


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "admin_pass",
        "auth_password",
        "user_data",
        "token",
        "auth-token",
        "adminPass",
        "db.secret",
        "PASSWD",
    ],
)
def test_a_key_named_like_a_secret_hides_its_value(name: str) -> None:
    assert names_a_secret(name)
    assert Redactor().value({name: "hunter2"}) == {name: MASK}


@pytest.mark.parametrize(
    "name", ["request_id", "idempotency_key", "public_keys", "key_file", "path", "bypassed", "tokens_used_by"]
)
def test_an_innocent_key_keeps_its_value(name: str) -> None:
    assert Redactor().value({name: "v"}) == {name: "v"}


def test_every_secret_field_of_the_contract_has_a_name_that_is_hidden() -> None:
    names = {
        name
        for method in METHODS.values()
        for model in _definitions(method.params)
        for name, schema in model.get("properties", {}).items()
        if "password" in (schema.get("format"), *(any_of.get("format") for any_of in schema.get("anyOf", ())))
    }
    assert {"admin_pass", "auth_password", "user_data", "content"} <= names
    assert {name for name in names if not names_a_secret(name)} == set()


def _definitions(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    return [schema, *schema.get("$defs", {}).values()]


@pytest.mark.parametrize("secret", [Secret("hunter2"), SecretStr("hunter2")])
def test_a_typed_secret_is_hidden_wherever_it_sits(secret: object) -> None:
    assert Redactor().value({"deep": [{"in": (secret,)}]}) == {"deep": [{"in": [MASK]}]}


def test_a_model_with_raw_fields_is_hidden_by_the_fields_names() -> None:
    class Account(BaseModel):
        user: str
        password: str

    assert Redactor().value(Account(user="u", password="hunter2")) == {"user": "u", "password": MASK}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("amqp://u:hunter2@h:5672/", f"amqp://u:{MASK}@h:5672/"),
        ("to amqps://u:hun/ter@2@h/ failed", f"to amqps://u:{MASK}@h/ failed"),
        ("https://u:hunter2@mirror/x.qcow2", f"https://u:{MASK}@mirror/x.qcow2"),
        ("amqp://h:5672/vhost", "amqp://h:5672/vhost"),
        ("{'admin_pass': 'hunter2', 'name': 'a'}", f"{{'admin_pass': {MASK}, 'name': 'a'}}"),
        ('{"auth_password": "hun\\"ter2", "port": 1}', f'{{"auth_password": {MASK}, "port": 1}}'),
        ("password=hunter2 host=h", f"password={MASK} host=h"),
        ("password='a token=b c' d", f"password={MASK} d"),
        ("a=password=hunter2", f"a=password={MASK}"),
        ("Bearer hunter2", MASK),
        ("nothing to hide: 12", "nothing to hide: 12"),
    ],
)
def test_a_secret_inside_a_text_is_hidden(text: str, expected: str) -> None:
    assert Redactor().value(text) == expected


def test_the_value_in_pydantics_message_is_hidden() -> None:
    with pytest.raises(ValidationError) as caught:
        # Our own models hide what they were given; others' don't.
        TypeAdapter(dict[str, int]).validate_python({"admin_pass": "hunter2"})
    assert "hunter2" in str(caught.value)
    assert "hunter2" not in Redactor().text(str(caught.value))


def test_a_known_secret_is_hidden_in_any_text() -> None:
    assert Redactor(["hunter2"]).value(["login of hunter2!", {"a": "xhunter2x"}]) == [
        f"login of {MASK}!",
        {"a": f"x{MASK}x"},
    ]


def test_the_longer_of_two_known_secrets_is_hidden_whole() -> None:
    assert Redactor(["hunter2", "hunter2-and-more"]).value("hunter2-and-more") == MASK


def test_a_very_short_known_secret_does_not_eat_the_text() -> None:
    assert Redactor(["a"]).value("a cat") == "a cat"


def test_an_object_that_cannot_be_shown_is_named_by_its_type() -> None:
    class Sulky:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert Redactor().value(Sulky()) == "<Sulky>"


def test_something_that_contains_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "..." in str(Redactor().value(loop))


@given(st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_anything_at_all_can_be_redacted_and_a_known_secret_never_survives(value: object) -> None:
    redacted = Redactor(["hunter2"]).value({"it": [value, "hunter2"]})
    assert "hunter2" not in str(redacted)


@given(
    user=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), min_size=1),
)
def test_no_password_of_a_url_survives(user: str, password: str) -> None:
    text = Redactor().text(f"cannot connect to amqp://{user}:{password}@broker:5672/ now")
    assert text == f"cannot connect to amqp://{user}:{MASK}@broker:5672/ now"
