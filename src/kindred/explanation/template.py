"""Prompts with a placeholder for a direction (Kharlapenko et al. 2024, 'Self-explaining SAE features')."""

import logging
from dataclasses import dataclass
from datetime import datetime

from transformers import PreTrainedTokenizerBase

from kindred.characters import mend_surrogates
from kindred.errors import KindredError
from kindred.models.tokenizer import special_tokens

CLOSING_QUOTE = '"'


@dataclass(frozen=True)
class Template:
    """A question about the placeholder ``{X}`` and the beginning of its answer, up to an open quote."""

    name: str
    prompt: str
    answer_prefix: str


@dataclass(frozen=True)
class PlaceholderPrompt:
    """A template as token ids.

    Attributes:
        template: Name of the template.
        placeholder: The word that stood for the direction when the text was tokenized.
        text: The text, without the BOS that stands before it where there is no chat template.
        token_ids: All tokens, BOS included.
        positions: Indices into ``token_ids`` of every placeholder, ascending.
    """

    template: str
    placeholder: str
    text: str
    token_ids: tuple[int, ...]
    positions: tuple[int, ...]

    @property
    def n_shared(self) -> int:
        """Number of tokens before the first placeholder, which are the same whatever is injected."""
        return self.positions[0]


TEMPLATES = {
    template.name: template
    for template in (
        Template("meaning", 'What is the meaning of the word "{X}"?', 'The meaning of the word "{X}" is "'),
        Template(
            "repeat",
            'Repeat "{X}" four times exactly as it is written.',
            '1. "{X}"\n2. "{X}"\n3. "{X}"\n4. "',
        ),
    )
}

# The second is for tokenizers that join a quotation mark and the letter after it.
_PLACEHOLDERS = ("X", " X")
# The moment that a chat template is told it is, so that a prompt does not depend on the day of the run. (Llama 3's own
# template names this day where it has no clock.)
_NOW = datetime(2024, 7, 26)
_CLOCK = "strftime_now"
_TIME_CODES = [f"%{flag}{letter}" for flag in ("", "-") for letter in "aAwdbBmyYHIpMSfjUWcxXGuVDFTRe"]
_CHAT_TEMPLATE_ADVICE = (
    "correct or remove it (chat_template.jinja, or chat_template in tokenizer_config.json)"
)


def build_prompt(tokenizer: PreTrainedTokenizerBase, template: str) -> PlaceholderPrompt:
    """Tokenize a template and find every placeholder, in the question and in the answer's beginning.

    The question goes through the tokenizer's chat template if it has one; else the text is BOS, the question,
    a line break and the answer's beginning. The token of a placeholder is X alone, with or without a space. A chat
    template that writes no BOS gives a prompt without it, which is logged as a warning.

    Raises:
        KindredError: If the template is unknown, the chat template fails or leaves out the question, or the
            tokenizer joins the placeholder with its neighbours.
    """
    if template not in TEMPLATES:
        raise KindredError(f"explanation.template is {template!r}; choose one of {', '.join(TEMPLATES)}")
    chosen = TEMPLATES[template]
    expected = (chosen.prompt + chosen.answer_prefix).count("{X}")
    for placeholder in _PLACEHOLDERS:
        text, token_ids = _tokenize(tokenizer, chosen, placeholder)
        is_placeholder = {token: tokenizer.decode([token]).strip() == "X" for token in set(token_ids)}
        positions = tuple(index for index, token in enumerate(token_ids) if is_placeholder[token])
        if len(positions) == expected:
            _warn_without_bos(tokenizer, token_ids)
            return PlaceholderPrompt(template, placeholder, text, token_ids, positions)
    if tokenizer.chat_template and expected != text.count("X"):
        raise KindredError(
            f"the chat template of the model {tokenizer.name_or_path!r} does not give the question alone: X stands "
            f"{text.count('X')} times in the prompt instead of {expected} (it begins {text[:60]!r}); "
            f"{_CHAT_TEMPLATE_ADVICE}"
        )
    raise KindredError(
        f"tokenizer {tokenizer.name_or_path!r} does not make the placeholder X a token of its own at all "
        f"{expected} places of template {template!r}; choose another explanation.template or another model"
    )


def _without_clock(chat_template: str) -> str:
    """Return a chat template in which the function that tells the time always tells the same one.

    The library hands no function to a template, so this one is a macro before it.
    """
    if _CLOCK not in chat_template:
        return chat_template
    filters = "".join(f"|replace('{code}', '{_NOW.strftime(code)}')" for code in _TIME_CODES)
    return f"{{%- macro {_CLOCK}(format) -%}}{{{{ format{filters} }}}}{{%- endmacro %}}{chat_template}"


def _warn_without_bos(tokenizer: PreTrainedTokenizerBase, token_ids: tuple[int, ...]) -> None:
    if token_ids[0] != special_tokens(tokenizer).bos:
        logging.warning(
            "the chat template of the model %r writes no BOS, so the prompt of the self-explanation begins without it; "
            "all other texts begin with BOS (EOS where the tokenizer has no BOS)",
            tokenizer.name_or_path,
        )


def _tokenize(
    tokenizer: PreTrainedTokenizerBase, template: Template, placeholder: str
) -> tuple[str, tuple[int, ...]]:
    question = template.prompt.replace("{X}", placeholder)
    answer = template.answer_prefix.replace("{X}", placeholder)
    if tokenizer.chat_template:
        message = [{"role": "user", "content": question}]
        try:
            chat = tokenizer.apply_chat_template(
                message,
                tokenize=False,
                add_generation_prompt=True,
                chat_template=_without_clock(tokenizer.get_chat_template()),
            )
        except Exception as error:  # a template is a program of the model's maker, and may fail in any way
            raise KindredError(
                f"the chat template of the model {tokenizer.name_or_path!r} does not take a single question from the "
                f"user: {type(error).__name__}: {error}; {_CHAT_TEMPLATE_ADVICE}"
            ) from error
        if question not in chat:
            raise KindredError(
                f"the chat template of the model {tokenizer.name_or_path!r} does not give the question as it is: it "
                f"makes {chat[:200]!r} of {question!r}; {_CHAT_TEMPLATE_ADVICE}"
            )
        text = mend_surrogates(chat) + answer
        bos = []  # the chat template writes its own
    else:
        text = f"{question}\n{answer}"
        bos = [special_tokens(tokenizer).bos]
    # The chat template spells its special tokens, whatever the tokenizer was saved to make of spellings.
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"]
    return text, (*bos, *encoded)
