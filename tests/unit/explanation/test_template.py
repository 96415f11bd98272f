import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from kindred.errors import KindredError
from kindred.explanation.template import TEMPLATES, build_prompt
from kindred.models.tokenizer import train_tokenizer

MEANING = 'What is the meaning of the word "X"?\nThe meaning of the word "X" is "'


def character_tokenizer(*merges: tuple[str, str]) -> PreTrainedTokenizerFast:
    letters = sorted(set("".join(t.prompt + t.answer_prefix for t in TEMPLATES.values())))
    vocabulary = {token: index for index, token in enumerate(["</s>", *letters, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["The meaning of the word is a number. " * 5], 300, 128)


@pytest.mark.parametrize(("template", "n_places"), [("meaning", 2), ("repeat", 4)])
def test_every_placeholder_is_found_in_question_and_answer(
    tokenizer: PreTrainedTokenizerFast, template: str, n_places: int
) -> None:
    prompt = build_prompt(tokenizer, template)
    assert [tokenizer.decode([prompt.token_ids[position]]) for position in prompt.positions] == [
        "X"
    ] * n_places
    assert tokenizer.decode(prompt.token_ids[1:]) == prompt.text
    assert prompt.text.count("X") == n_places


def test_plain_text_is_bos_question_and_open_quote(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = build_prompt(tokenizer, "meaning")
    assert prompt.text == MEANING
    assert prompt.placeholder == "X"
    assert prompt.token_ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(prompt.token_ids[1 : prompt.n_shared]) == 'What is the meaning of the word "'


def test_the_chat_template_of_a_model_is_used_and_brings_its_own_bos(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    chat = train_tokenizer(["user model"], 300, 128)
    chat.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %} [model] {% endif %}"
    )
    prompt = build_prompt(chat, "meaning")
    question, answer = MEANING.split("\n")
    assert prompt.text == f"<|bos|>[user] {question} [model] {answer}"
    assert list(prompt.token_ids).count(chat.bos_token_id) == 1
    assert len(prompt.positions) == 2


def test_a_tokenizer_that_joins_quote_and_letter_gets_a_space_between_them() -> None:
    prompt = build_prompt(character_tokenizer(('"', "X")), "meaning")
    assert prompt.placeholder == " X"
    assert len(prompt.positions) == 2
    assert '" X"' in prompt.text


def test_a_tokenizer_that_never_gives_x_alone_is_refused() -> None:
    with pytest.raises(KindredError, match="placeholder X"):
        build_prompt(character_tokenizer(("X", '"')), "meaning")


def test_an_unknown_template_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(KindredError, match="meaning, repeat"):
        build_prompt(tokenizer, "riddle")


def chatting(chat_template: str) -> PreTrainedTokenizerFast:
    """A tokenizer with a chat template of its own."""
    tokenizer = train_tokenizer(["user model"], 300, 128)
    tokenizer.name_or_path = "models/chatty"
    tokenizer.chat_template = chat_template
    return tokenizer


@pytest.mark.parametrize(
    ("chat_template", "reason"),
    [
        ("{{ raise_exception('needs a system message') }}", "needs a system message"),
        ("{{ messages[1].content }}", "UndefinedError"),
        ("{% for m in messages %}", "TemplateSyntaxError"),
        ("{{ messages[0].content + 1 }}", "TypeError"),
    ],
)
def test_a_chat_template_that_fails_is_named(chat_template: str, reason: str) -> None:
    with pytest.raises(
        KindredError, match=f"chat template of the model 'models/chatty' .*{reason}.*correct or remove it"
    ):
        build_prompt(chatting(chat_template), "meaning")


@pytest.mark.parametrize(
    "chat_template",
    [
        "{{ bos_token }}hello ",
        "{{ bos_token }}X: {{ messages[0].content }}",
        "{{ bos_token }}{{ messages[0].content | upper }}",
        "{{ bos_token }}{{ messages[0].content[:-1] }}",
        "{{ bos_token }}{{ messages[0].content | e }}",
    ],
)
def test_a_chat_template_that_changes_the_question_is_named(chat_template: str) -> None:
    with pytest.raises(
        KindredError, match="chat template of the model 'models/chatty' does not give the question"
    ):
        build_prompt(chatting(chat_template), "meaning")


@pytest.mark.parametrize(("begin", "n_warnings"), [("{{ bos_token }}", 0), ("", 1)])
def test_a_chat_template_without_bos_is_a_warning(
    begin: str, n_warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    build_prompt(chatting(begin + "[{{ messages[0].content }}] "), "meaning")
    assert len(caplog.messages) == n_warnings
    assert all("'models/chatty' writes no BOS" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ("{%- if strftime_now is defined %}{{ strftime_now('%A, %-d %B %Y, %H:%M:%S.%f') }}{% endif %}",
         "Friday, 26 July 2024, 00:00:00.000000"),
        ("{% macro day() %}{{ strftime_now(format='%Y-%m-%d') }}{% endmacro %}{{ day() }}", "2024-07-26"),
    ],
)  # fmt: skip
def test_a_prompt_does_not_depend_on_the_day(code: str, told: str) -> None:
    prompt = build_prompt(chatting(code + "{{ bos_token }}{{ messages[0].content }} "), "meaning")
    assert prompt.text.startswith(f"{told}<|bos|>What is the meaning")


def test_half_a_surrogate_pair_of_a_chat_template_becomes_one_character() -> None:
    prompt = build_prompt(chatting(r"{{ bos_token }}{{ '\ud83d' }} {{ messages[0].content }} "), "meaning")
    assert prompt.text.startswith("<|bos|>\N{REPLACEMENT CHARACTER} What is")
