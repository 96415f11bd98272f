"""A byte-level BPE tokenizer trained on the corpus (Sennrich et al. 2016; byte level as in GPT-2).

Byte level needs no unknown token: every text has an encoding that decodes back to it.
"""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, PythonBackend

from kindred.corpus.packing import SpecialTokens
from kindred.errors import KindredError

BOS_TOKEN = "<|bos|>"
EOS_TOKEN = "<|eos|>"
PAD_TOKEN = "<|pad|>"


def train_tokenizer(texts: Iterable[str], vocab_size: int, context_length: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer that prepends BOS by itself; ``save_pretrained`` gives its folder.

    The ids of BOS, EOS and padding are 0, 1 and 2. Letters, digits and punctuation never share a token, so a
    placeholder in quotation marks is a token of its own.

    Args:
        texts: The training texts, in a fixed order.
        vocab_size: Number of tokens, specials and the 256 bytes included.
        context_length: Longest input of the model it is for.

    Raises:
        KindredError: If the vocabulary cannot hold the bytes and the special tokens.
    """
    specials = [BOS_TOKEN, EOS_TOKEN, PAD_TOKEN]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocab_size < len(alphabet) + len(specials):
        raise KindredError(
            f"tokenizer.vocab_size is {vocab_size}; it must be at least {len(alphabet) + len(specials)} "
            "(256 bytes and the special tokens)"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS_TOKEN} $A",
        pair=f"{BOS_TOKEN} $A $B",
        special_tokens=[(BOS_TOKEN, tokenizer.token_to_id(BOS_TOKEN))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS_TOKEN,
        eos_token=EOS_TOKEN,
        pad_token=PAD_TOKEN,
        model_max_length=context_length,
        clean_up_tokenization_spaces=False,
    )


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Return the ids of BOS, EOS, padding and all other special tokens of any Hugging Face tokenizer.

    A tokenizer without BOS begins contexts with EOS, as GPT-2 does, and one without padding pads with EOS. The others
    are those with a role (the unknown token, too) and all added tokens that are marked as special, such as those that
    open a turn of a chat or are reserved.

    Raises:
        KindredError: If the tokenizer has no EOS token.
    """
    eos = tokenizer.eos_token_id
    if eos is None:
        raise KindredError(f"tokenizer {tokenizer.name_or_path!r} has no EOS token; choose one that has")
    bos = tokenizer.bos_token_id
    pad = tokenizer.pad_token_id
    return SpecialTokens(
        bos=eos if bos is None else bos,
        eos=eos,
        pad=eos if pad is None else pad,
        others=_special_ids(tokenizer) - {bos, eos, pad},
    )


def encode_documents(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], chunk: int = 4096
) -> list[list[int]]:
    """Encode texts as plain text, a chunk at a time to bound memory.

    No special token is added (packing places those), and none is recognized in a text: what is spelled like one, such
    as ``<|eos|>``, is encoded by its characters. Some tokenizers give a special id all the same: that of an unknown
    character, or of a spelling that is a word of their vocabulary. Packing marks its position as special.
    """
    encoded: list[list[int]] = []
    for start in range(0, len(texts), chunk):
        encoded.extend(_encode(tokenizer, list(texts[start : start + chunk])))
    return encoded


def _encode(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    # Always said: a tokenizer may have been saved with either setting, or used with either before.
    split = isinstance(tokenizer, PreTrainedTokenizerFast)
    encoded: list[list[int]] = tokenizer(
        texts, add_special_tokens=False, split_special_tokens=split, verbose=False
    )["input_ids"]
    if isinstance(tokenizer, PythonBackend):
        # Without special tokens it knows no added token at all, so that is left to the texts that need it.
        special = _special_ids(tokenizer)
        for place, text in enumerate(texts):
            if not special.isdisjoint(encoded[place]):
                encoded[place] = tokenizer(
                    text, add_special_tokens=False, split_special_tokens=True, verbose=False
                )["input_ids"]
    return encoded


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    decoder = getattr(tokenizer, "added_tokens_decoder", {})  # one class of transformers has none
    added = (index for index, token in decoder.items() if token.special)
    return frozenset([*tokenizer.all_special_ids, *added])
