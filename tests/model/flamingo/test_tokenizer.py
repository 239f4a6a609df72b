import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earful.errors import ModelError, PromptError
from earful.model.flamingo import Control, FlamingoTokenizer, Segment

BASE = ["<s>", "<pad>", "</s>", "<unk>"]
CONTROLS = re.compile("|".join(re.escape(control) for control in Control))
# Written like control tokens of this or of any other vocabulary.
SPECIAL = [
    *(x.value for x in Control),
    "<s>",
    "<unk>",
    "<mask>",
    "<PAD>",
    "<|endoftext|>",
    "<aud",
    "io>",
]
PROSE = (
    "A dog barks twice, then it's quiet; they'd say it isn't raining. Is it 12.5 s?\n"
    "OPTIONS:\n - air conditioner.\n - café.\n - 狗.\n answer:  two  spaces , here .\t<b>|x|</b>"
)


def byte_tokens() -> list[str]:
    """Return GPT-2's character of every byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = {byte: 256 + n for n, byte in enumerate(b for b in range(256) if b not in kept)}
    return [chr(moved.get(byte, byte)) for byte in range(256)]


def write_files(
    folder: Path, tokens: Sequence[str], merges: Sequence[str] = ()
) -> tuple[Path, Path]:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    vocab_json, merges_txt = folder / "vocab.json", folder / "merges.txt"
    vocab_json.write_text(json.dumps(vocabulary), encoding="utf-8")
    merges_txt.write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return vocab_json, merges_txt


@pytest.fixture(scope="module")
def of_bytes(tmp_path_factory: pytest.TempPathFactory) -> FlamingoTokenizer:
    """Return the goldens' stand-in: no merges, id = 4 + byte."""
    folder = tmp_path_factory.mktemp("bytes")
    return FlamingoTokenizer.from_opt_files(*write_files(folder, BASE + byte_tokens()))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return vocab.json and merges.txt of a BPE that has learnt some words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=BASE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([PROSE, *SPECIAL] * 3, trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    assert len(learnt["merges"]) > 50
    folder = tmp_path_factory.mktemp("trained")
    tokens = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    return write_files(folder, tokens, [" ".join(pair) for pair in learnt["merges"]])


@pytest.fixture(scope="module")
def of_words(trained: tuple[Path, Path]) -> FlamingoTokenizer:
    return FlamingoTokenizer.from_opt_files(*trained)


def split(text: str) -> list[Segment]:
    """Take the control tokens of a text as such, as the release does."""
    segments: list[Segment] = []
    end = 0
    for match in CONTROLS.finditer(text):
        segments += [text[end : match.start()], Control(match[0])]
        end = match.end()
    return [*segments, text[end:]]


# --- encoding ---------------------------------------------------------------------------


def test_a_prompt_begins_with_two_ends_of_text(of_bytes: FlamingoTokenizer) -> None:
    ids = of_bytes.encode([Control.END_OF_TEXT, "a ", Control.AUDIO, "b\n", Control.SEPARATOR])
    assert ids == [2, 2, 4 + 97, 4 + 32, 260, 4 + 98, 4 + 10, 262]
    assert of_bytes.vocab_size == 263
    assert {control: of_bytes.id_of(control) for control in Control} == {
        Control.PAD: 1,
        Control.END_OF_TEXT: 2,
        Control.AUDIO: 260,
        Control.END_OF_CHUNK: 261,
        Control.SEPARATOR: 262,
    }


def test_spaces_around_control_tokens_are_the_releases(
    of_bytes: FlamingoTokenizer, goldens: Path
) -> None:
    told = json.loads((goldens / "text.json").read_text(encoding="utf-8"))
    for case in told["whitespace"]:
        assert of_bytes.encode(split(case["text"])) == case["ids"]


def test_ids_are_those_of_transformers_own_gpt2(
    trained: tuple[Path, Path], of_words: FlamingoTokenizer
) -> None:
    oracle, ours = transformers_oracle(*trained), of_words
    assert ours.vocab_size == len(oracle)
    draw = random.Random(0)
    pieces = [*Control, *re.findall(r"\s+|\S+", PROSE), " ", "  ", "\n", "'s", "é", "狗"]
    for _ in range(300):
        text = "".join(draw.choices(pieces, k=draw.randrange(12)))
        ids = ours.encode(split(text))
        assert ids == [2, *oracle(text, add_special_tokens=False)["input_ids"]]
        assert ours.decode(ids) == oracle.clean_up_tokenization(
            oracle.decode(ids, clean_up_tokenization_spaces=False)
        )


def transformers_oracle(vocab_json: Path, merges_txt: Path) -> Any:
    """Return the tokenizer that transformers builds for GPT-2 and OPT from the same files."""
    transformers = pytest.importorskip("transformers")
    oracle = transformers.GPT2TokenizerFast(
        vocab=str(vocab_json),
        merges=str(merges_txt),
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        add_prefix_space=False,
    )
    # In the release's order, which decides the ids.
    oracle.add_special_tokens({"additional_special_tokens": ["<audio>", "<|endofchunk|>"]})
    oracle.add_special_tokens({"sep_token": "<SEP>"})
    return oracle


pieces_of_text = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(SPECIAL)), max_size=8)


@given(pieces_of_text)
def test_text_never_becomes_a_control_token(of_bytes: FlamingoTokenizer, texts: list[str]) -> None:
    # However it is spread over segments: a byte is a token here, so nothing can be lost.
    ids = of_bytes.encode([Control.AUDIO, *texts, Control.SEPARATOR])
    assert ids == [2, 260, *(4 + byte for byte in "".join(texts).encode()), 262]


@given(pieces_of_text)
def test_text_in_learnt_words_never_becomes_a_control_token(
    of_words: FlamingoTokenizer, texts: list[str]
) -> None:
    ids = of_words.encode(texts)[1:]
    assert not {0, 1, 2, 3, *map(of_words.id_of, Control)} & set(ids)
    assert ids == of_words.encode(["".join(texts)])[1:]


def test_half_a_character_is_refused(of_bytes: FlamingoTokenizer) -> None:
    with pytest.raises(PromptError, match="half a character"):
        of_bytes.encode(["a dog \ud83d"])


# --- decoding ---------------------------------------------------------------------------


def answer_of(decoded: str) -> str:
    """Extract the answer from a decoded text, as the release does, without trimming."""
    answer = decoded.rpartition("<SEP>")[2]
    for token in ("</s>", "<pad>", "<|endofchunk|>"):
        answer = answer.replace(token, "")
    return answer


def test_answers_are_the_releases(of_bytes: FlamingoTokenizer, goldens: Path) -> None:
    told = json.loads((goldens / "text.json").read_text(encoding="utf-8"))
    for case in told["decoding"]:
        assert of_bytes.encode(split(case["source"])) == case["ids"]
        assert of_bytes.decode(case["ids"]) == case["decoded"]
        assert answer_of(case["decoded"]) == case["answer"]
        assert of_bytes.answer(case["ids"]) == case["answer"]


def test_the_answer_follows_the_last_separator_untrimmed() -> None:
    assert answer_of("</s></s>q<SEP>a<|endofchunk|></s>\nr <SEP> B .<|endofchunk|></s><pad>") == (
        " B ."
    )
    assert answer_of(" no separator") == " no separator"


@given(st.lists(st.integers(min_value=0, max_value=262), max_size=30))
def test_an_answer_is_the_same_from_ids_and_from_text(
    of_bytes: FlamingoTokenizer, ids: list[int]
) -> None:
    # `<` is left out: 256 bytes drawn by chance could spell a token.
    ids = [number for number in ids if number != 4 + ord("<")]
    assert of_bytes.answer(ids) == answer_of(of_bytes.decode(ids))


def test_words_like_a_control_token_stay_in_an_answer(of_bytes: FlamingoTokenizer) -> None:
    words = "the tag <SEP> ends with </s>"
    ids = of_bytes.encode(["q", Control.SEPARATOR, words, Control.END_OF_CHUNK])
    assert of_bytes.answer(ids) == words


def test_spaces_before_punctuation_go(of_bytes: FlamingoTokenizer) -> None:
    ids = of_bytes.encode(["it 's a dog , is n't it ?  I 've said : \" no \" ."])[1:]
    assert of_bytes.decode(ids) == "it's a dog, isn't it?  I've said : \" no \"."


# --- files ------------------------------------------------------------------------------


def test_a_saved_tokenizer_is_the_same(trained: tuple[Path, Path], tmp_path: Path) -> None:
    built = FlamingoTokenizer.from_opt_files(*trained)
    built.save(tmp_path / "a.json")
    loaded = FlamingoTokenizer.load(tmp_path / "a.json")
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    segments = [PROSE, *SPECIAL[-3:], Control.AUDIO, "<audio> </s>", Control.END_OF_CHUNK]
    assert loaded.encode(segments) == built.encode(segments)
    assert loaded.vocab_size == built.vocab_size
    read = FlamingoTokenizer.from_bytes((tmp_path / "a.json").read_bytes(), source="memory")
    assert read.encode(segments) == built.encode(segments)
    assert read.decode(read.encode(segments)) == built.decode(built.encode(segments))
    assert read.vocab_size == built.vocab_size
    read.save(tmp_path / "c.json")
    assert (tmp_path / "c.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def test_bytes_that_are_no_tokenizer_are_refused_by_their_source(
    of_bytes: FlamingoTokenizer, tmp_path: Path
) -> None:
    of_bytes.save(tmp_path / "a.json")
    data = (tmp_path / "a.json").read_bytes()
    for damaged in (b"", b"{}", b"\x80\x04 a pickle", data[:-2]):
        with pytest.raises(ModelError, match="mine: cannot be read as a tokenizer"):
            FlamingoTokenizer.from_bytes(damaged, source="mine")
    moved = data.replace(b'"<audio>"', b'"<radio>"')
    with pytest.raises(ModelError, match=r"mine: 263 tokens with <audio> at None, expected at 260"):
        FlamingoTokenizer.from_bytes(moved, source="mine")


Spoil = Callable[[list[str]], list[str]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda tokens: [*tokens, "<audio>", "xx"],
            "264 tokens with <audio> at 260, expected at 261",
        ),
        (
            lambda tokens: ["<s>", "xx", "</s>", *tokens[3:]],
            "<pad> at 260, expected at 1",
        ),
        (lambda tokens: ["</s>", "<pad>", "xx", *tokens[3:]], "with </s> at 0, expected at 2"),
        (lambda tokens: tokens[:-1], "no token for 1 of 256 bytes"),
    ],
)
def test_another_vocabulary_is_refused(tmp_path: Path, spoil: Spoil, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        FlamingoTokenizer.from_opt_files(*write_files(tmp_path, spoil(BASE + byte_tokens())))


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ("{", "expected vocab.json and merges.txt of facebook/opt-iml-max-1.3b"),
        ("[]", "Bad vocabulary json file"),
        ('{"a": "0"}', "no token for 256 of 256 bytes"),
        ('{"a": 0, "b": 2}', "2 ids, expected 0 to 1"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_refused(
    tmp_path: Path, vocabulary: str, message: str
) -> None:
    vocab_json, merges_txt = write_files(tmp_path, [])
    vocab_json.write_text(vocabulary, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        FlamingoTokenizer.from_opt_files(vocab_json, merges_txt)


def test_merges_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    for merge, message in (("a b", "`ab` out of vocabulary"), ("ab", "invalid at line")):
        files = write_files(tmp_path, BASE + byte_tokens(), [merge])
        with pytest.raises(ModelError, match=rf"merges.txt: .*{message}"):
            FlamingoTokenizer.from_opt_files(*files)


def test_missing_files_are_named(tmp_path: Path) -> None:
    vocab_json, merges_txt = write_files(tmp_path, BASE + byte_tokens())
    merges_txt.unlink()
    with pytest.raises(ModelError, match=r"merges.txt: no such file"):
        FlamingoTokenizer.from_opt_files(vocab_json, merges_txt)
    vocab_json.unlink()
    with pytest.raises(ModelError, match=r"vocab.json: no such file"):
        FlamingoTokenizer.from_opt_files(vocab_json, merges_txt)
    with pytest.raises(ModelError, match=r"none.json: cannot be read as a tokenizer"):
        FlamingoTokenizer.load(tmp_path / "none.json")


def test_a_tokenizer_that_looks_for_words_in_text_is_refused(
    of_bytes: FlamingoTokenizer, tmp_path: Path
) -> None:
    of_bytes.save(tmp_path / "tokenizer.json")
    told = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    told["added_tokens"][2]["special"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(ModelError, match="looks for '<audio>' inside every text"):
        FlamingoTokenizer.load(tmp_path / "tokenizer.json")
