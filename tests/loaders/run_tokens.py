# SPDX-License-Identifier: Apache-2.0
"""run_tokens.py - the engine's tokens, compared with the tokenizers library's

usage: run_tokens.py PROBE MODEL WORK

Of the model's own tokenizer, and of one of each usual form, trained here on a
few pages: the tokens of 5,000 strings, the text of those tokens, and the text
of random tokens.  Exit 1: anything differs.
"""
import json
import os
import random
import subprocess
import sys

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

N = 5000

LINES = """\
The quick brown fox jumps over the lazy dog; it didn't mind, and they'll see.
I'VE SEEN what you'd call "progress" (or so they'Re told): 3.14159, 1,000,000!
for (int i = 0; i < n; i++) {\n\tif (a[i] != b[i])\n\t\treturn -1;\n}\n
def f(x: float) -> float:\n    return x ** 2 + 1e-7  # a comment\n\n\n
SELECT name, COUNT(*) FROM users WHERE age >= 21 GROUP BY name;\r\n
<html><body class="main">&nbsp;&copy; 2024</body></html>
https://example.org/path?query=a%20b&x=1#top user@example.org /usr/lib/x.so.1
Über die Brücke läuft ein Fuchs, größer als 12 Häuser; Straße, Ärger, Öl.
L'été dernier, nous étions à l'hôtel; ça coûtait 120 € la nuit, où déjà ?
El niño comió piñas en España. ¿Cuándo? ¡Mañana por la mañana!
Широкая электрификация южных губерний даст мощный толчок подъёму.
Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.
敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园吧！价格是１２３元。
いろはにほへと ちりぬるを、東京タワーへ行きました。カタカナもあります。
다람쥐 헌 쳇바퀴에 타고파. 오늘은 2024년 3월 5일입니다.
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ١٢٣.
דג סקרן שט בים מאוכזב ולפתע מצא חברה.
ऋषियों को सताने वाले दुष्ट राक्षसों का राजा रावण १२३४।
นายสังฆภัณฑ์ เฮงพิทักษ์ฝั่ง ผู้เฒ่าซึ่งมีอาชีพเป็นฅนขายฃวด
😀 😃👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ✨💯 ❤️‍🔥 🤷🏻‍♀️
e\u0301 o\u0308 A\u030a \ufb01 \u1e9b\u0323 \u212b \uac01 \u1100\u1161\u11a8
tab\tand\u00a0no-break\u2003em\u200bzero\u2028line\u3000wide\u180evowel\x85nel
  leading,   many     blanks\n\n\n  and lines \t \t\n \r\n\r\n end   \n
½ ² ³ Ⅷ ⅷ ① ٣ ७ 𝟘𝟙 𒐀 ㊿ 0x1F 1_000 v1.2.3-rc4
""".split("\n")
LINES = [line.encode().decode("unicode_escape") if line.isascii() else
         line.replace("\\n", "\n") for line in LINES if line]

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
        r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def strings(rng, specials):
    """Whole lines, parts of them, mixtures, and random characters."""
    yield from ["", " ", "\n", "  ", "a", " a", "a ", "\u3000"]
    yield from LINES
    yield " ".join(LINES) * 3
    planes = [(0x20, 0x7f), (0x20, 0x7f), (0xa0, 0x250), (0x370, 0x530),
              (0x600, 0x700), (0x900, 0xa00), (0x2000, 0x2070),
              (0x2190, 0x2c00), (0x3000, 0x3100), (0x4e00, 0x9fff),
              (0xac00, 0xd7a0), (0x1f300, 0x1fa00), (1, 0x20)]
    for _ in range(N):
        kind = rng.randrange(5)
        a, b = rng.choice(LINES), rng.choice(LINES)
        i, j = sorted(rng.randrange(len(a) + 1) for _ in range(2))
        if kind == 0:
            yield a[i:j]
        elif kind == 1:
            yield a[i:j] + rng.choice(["", " ", "\n", "  ", "\t"]) + b[j:]
        elif kind == 2:
            yield "".join(chr(rng.randrange(*rng.choice(planes)))
                          for _ in range(rng.randrange(1, 30)))
        elif kind == 3:
            yield a[:i] + rng.choice(specials) + rng.choice(["", " "]) + b[j:]
        else:
            yield "".join(rng.choice([" ", "  ", "\n", "\t", "x", "1", "'s",
                                      "é", "。", "😀", "-", "\r\n", "A"])
                          for _ in range(rng.randrange(1, 25)))


def pages():
    rng = random.Random(5)
    for _ in range(300):
        yield " ".join(rng.choice(LINES) for _ in range(5))


def train(tok, **options):
    trainer = trainers.BpeTrainer(
        vocab_size=options.pop("vocab_size", 1500), show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>"], **options)
    tok.train_from_iterator(pages(), trainer)
    return tok


def byte_level(pre, **model):
    tok = Tokenizer(models.BPE(**model))
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    return train(tok, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def sentencepiece(tok):
    """A vocabulary with byte tokens, as a SentencePiece model's has."""
    train(tok, vocab_size=1200)
    data = json.loads(tok.to_str())
    vocab = data["model"]["vocab"]
    for i in range(256):
        vocab.setdefault("<0x%02X>" % i, len(vocab))
    data["model"].update(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    return Tokenizer.from_str(json.dumps(data))


def forms():
    pre, norm = pre_tokenizers, normalizers
    yield "gpt2", byte_level(pre.ByteLevel(add_prefix_space=False))
    yield "prefixed", byte_level(pre.ByteLevel(add_prefix_space=True))
    yield "smollm", byte_level(pre.Sequence(
        [pre.Digits(individual_digits=True),
         pre.ByteLevel(add_prefix_space=False)]))
    llama3 = byte_level(pre.Sequence(
        [pre.Split(Regex(GPT4), "isolated"),
         pre.ByteLevel(add_prefix_space=False, use_regex=False)]),
        ignore_merges=True)
    llama3.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False),
         processors.TemplateProcessing("<s> $A", "<s> $A <s> $B",
                                       [("<s>", llama3.token_to_id("<s>"))])])
    yield "llama3", llama3

    qwen = byte_level(pre.Sequence(
        [pre.Split(Regex(GPT4.replace(r"{1,3}", "")), "isolated"),
         pre.ByteLevel(add_prefix_space=False, use_regex=False)]))
    qwen.normalizer = norm.NFC()
    yield "qwen", qwen

    llama2 = Tokenizer(models.BPE(unk_token="<unk>"))
    llama2.normalizer = norm.Sequence(
        [norm.Prepend("\u2581"), norm.Replace(" ", "\u2581")])
    llama2 = sentencepiece(llama2)
    llama2.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
         decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    llama2.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A $B",
        [("<s>", llama2.token_to_id("<s>")),
         ("</s>", llama2.token_to_id("</s>"))])
    yield "llama2", llama2

    for scheme, split in (("first", False), ("always", True),
                          ("never", False)):
        tok = Tokenizer(models.BPE(unk_token="<unk>"))
        tok.pre_tokenizer = pre.Metaspace("\u2581", scheme, split)
        tok = sentencepiece(tok)
        tok.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
             decoders.Fuse()] +
            ([] if scheme == "never" else [decoders.Strip(" ", 1, 0)]))
        yield f"metaspace-{scheme}", tok

    gemma = Tokenizer(models.BPE(unk_token="<unk>"))
    gemma.normalizer = norm.Replace(" ", "\u2581")
    gemma.pre_tokenizer = pre.Split(" ", "merged_with_previous")
    gemma = sentencepiece(gemma)
    gemma.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
         decoders.Fuse()])
    yield "gemma", gemma

    # Without bytes to fall back on, and cuts of every kind.
    for behavior in ("removed", "contiguous", "merged_with_previous",
                     "merged_with_next"):
        tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        tok.pre_tokenizer = pre.Split(Regex(r"[\s\p{N}]"), behavior)
        tok.decoder = decoders.Fuse()
        yield behavior, train(tok, vocab_size=300)


def add_tokens(tok):
    """Added tokens of all manners."""
    tok.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tok.add_tokens([
        AddedToken("<tool>", lstrip=True, normalized=False),
        AddedToken("<mask>", rstrip=True, lstrip=True, special=True,
                   normalized=False),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("   ", normalized=False),
        AddedToken("über", normalized=True),
        AddedToken("<|im_start|>x", normalized=False)])


SPECIALS = ["<|im_start|>", "<|im_end|>", "<s>", "</s>", " <tool>", "<tool> ",
            "  <mask>  ", "word", "swordfish", " word.", "   ", "über", "<unk>",
            "<|im_start|>x", "<0x41>", "<|endoftext|>"]


def ask(probe, mode, folder, data):
    return subprocess.run([probe, mode, folder], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def compare(probe, name, folder, tok, texts, rng):
    wrong = 0
    joined = b"".join(t.encode() + b"\0" for t in texts)
    lists = None
    for mode, special in (("tokens", False), ("start", True)):
        have = ask(probe, mode, folder, joined).decode().split("\n")[:-1]
        want = [tok.encode(t, add_special_tokens=special).ids for t in texts]
        if len(have) != len(texts):
            sys.exit(f"{name}: {len(have)} lists of tokens for {len(texts)}")
        for text, line, ids in zip(texts, have, want):
            if line != " ".join(map(str, ids)):
                wrong += 1
                if wrong < 4:
                    print(f"{name} {mode}: {text!r}\n  has  {line}\n"
                          f"  want {' '.join(map(str, ids))}")
        lists = lists or want
    size = tok.get_vocab_size()
    lists += [[rng.randrange(size) for _ in range(rng.randrange(1, 12))]
              for _ in range(1000)]
    data = "".join(" ".join(map(str, ids)) + "\n" for ids in lists)
    have = ask(probe, "text", folder, data.encode()).split(b"\0")[:-1]
    for ids, text in zip(lists, have):
        want = tok.decode(ids, skip_special_tokens=True).replace("\0", "")
        if text != want.encode():
            wrong += 1
            if wrong < 8:
                print(f"{name}: text of {ids}\n  has  {text!r}\n"
                      f"  want {want.encode()!r}")
    print(f"{name}: {len(texts)} strings, {len(lists)} texts, {wrong} differ")
    return wrong


def main():
    probe, model, work = sys.argv[1:4]
    wrong = 0
    own = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
    for name, tok in [("own", own)] + list(forms()):
        rng = random.Random(name)
        folder = os.path.join(work, name)
        os.mkdir(folder)
        for file in ("config.json", "model.safetensors"):
            os.symlink(os.path.join(model, file), os.path.join(folder, file))
        if name != "own":
            add_tokens(tok)
        tok.save(os.path.join(folder, "tokenizer.json"))
        texts = [t.replace("\0", "") for t in strings(rng, SPECIALS)]
        wrong += compare(probe, name, folder, tok, texts, rng)
    sys.exit(bool(wrong))


main()
